// A list of alarms, newest first: older ones on demand, newer ones as they come.

import { get } from "./api.js";
import { attempt } from "./dialogs.js";
import { button, el, keyed, visible } from "./dom.js";
import { giveFeedback } from "./feedback.js";
import { moment, plural } from "./format.js";
import { bindKeys, chosenAlarm } from "./keys.js";
import { alarmLink, sourceLink } from "./links.js";
import { repeat } from "./live.js";
import { labelWord, severity } from "./marks.js";

const EVERY_MS = 2_500;
const WHOLE_EVERY = 6;
const PAGE = matchMedia("(max-width: 40rem)").matches ? 15 : 50;
const MOST = 2_000; // in the page at once; older ones go, and can be asked for again

/** Fills `panel` with the alarms of one source, or of all. `onNew` is told when some came since, `onLoad` of every
 *  load, `onLabel` when one was labelled here. */
export function alarmList(panel, { source = null, signal, most = MOST, onNew = none, onLoad = none, onLabel = none }) {
  const list = panel.appendChild(el("ol", { class: "alarms", "data-list": "alarms", role: "list" }));
  const more = panel.appendChild(button("Older alarms", () => older(state), { class: "quiet", hidden: true }));
  const state = { source, signal, most, list, more, page: Math.min(PAGE, most), ...nothing() };
  const load = async () => {
    const fresh = await came(state);
    if (fresh.length) onNew();
    onLoad();
  };
  repeat(load, { everyMs: EVERY_MS, signal });
  return {
    alarms: () => state.alarms,
    older: () => older(state),
    hasOlder: () => state.next !== null,
    relabel: (alarm, label) => (relabelled(state, alarm, label), onLabel()),
  };
}

const none = () => {};
const nothing = () => ({ alarms: [], next: null, latest: null, polls: 0, fresh: new Set() });

/** The first page, then those after it; now and then the first page again: alarms grow, and others label them. */
async function came(state) {
  const isWhole = state.polls % WHOLE_EVERY === 0;
  state.polls += 1;
  const page = await get(
    "/v1/alarms",
    { source: state.source, after: isWhole ? null : state.latest, limit: state.page },
    state.signal,
  );
  const isFirst = state.latest === null;
  const fresh = isFirst
    ? []
    : page.alarms.filter((alarm) => Number(alarm.cursor) > Number(state.latest) && !isKnown(state, alarm));
  if (isFirst || fresh.length === state.page)
    Object.assign(state, { alarms: page.alarms, next: page.next }); // too many to join up
  else join(state, page.alarms, fresh);
  state.latest = page.latest;
  for (const alarm of fresh) state.fresh.add(alarm.alarm_id);
  draw(state);
  return fresh;
}

const isKnown = ({ alarms }, { cursor }) => alarms.some((known) => known.cursor === cursor);

function join(state, page, fresh) {
  const renewed = new Map(page.map((alarm) => [alarm.cursor, alarm]));
  const all = [...fresh, ...state.alarms.map((alarm) => renewed.get(alarm.cursor) ?? alarm)];
  state.alarms = all.slice(0, state.most);
  if (all.length > state.most) state.next = state.alarms.at(-1).cursor;
}

async function older(state) {
  const query = { source: state.source, before: state.next, limit: state.page };
  const page = await attempt(() => get("/v1/alarms", query, state.signal));
  if (page === null) return;
  state.alarms = [...state.alarms, ...page.alarms];
  state.next = page.next;
  draw(state);
}

/** A label is of a template: every alarm of it has the label. */
function relabelled(state, { source, template_id }, label) {
  const isOfIt = (alarm) => alarm.source === source && alarm.template_id === template_id;
  state.alarms = state.alarms.map((alarm) => (isOfIt(alarm) ? { ...alarm, label } : alarm));
  draw(state);
}

function draw(state) {
  const empty = { alarm_id: "", none: true };
  const items = state.alarms.length ? state.alarms : [empty];
  keyed(
    state.list,
    items,
    (alarm) => alarm.alarm_id,
    (alarm) => (alarm.none ? emptyItem() : item(alarm, state)),
  );
  state.more.hidden = state.next === null || state.alarms.length >= state.most;
}

/** The alarms of all sources, as a view of their own. */
export function openAlarms({ root, signal, arrive }) {
  const part = el("section", { class: "panel", "aria-label": "Alarms" });
  const crumbs = el(
    "nav",
    { class: "crumbs", "aria-label": "Where you are" },
    el("a", { href: "#/", "data-up": true }, "Sources"),
  );
  root.replaceChildren(
    el("div", { class: "view-head" }, el("div", {}, crumbs, el("h1", { tabindex: -1 }, "Alarms"))),
    part,
  );
  document.title = "Alarms · logmeta";
  bindKeys(feedbackKeys(alarmList(part, { signal, onLoad: arrive })));
}

const emptyItem = () => el("li", { class: "empty" }, "No alarm yet. New ones appear here by themselves.");

function item(alarm, { source, fresh }) {
  const place =
    source === null
      ? el("a", { class: "alarm-source", href: sourceLink(alarm.source), tabindex: -1 }, visible(alarm.source))
      : null;
  const facts = [
    moment(alarm.at),
    place,
    alarm.stream && el("span", { class: "stream" }, visible(alarm.stream)),
    alarm.lines > 1 && plural(alarm.lines, "line"),
    labelWord(alarm.label),
  ];
  return el(
    "li",
    {
      "data-alarm": alarm.alarm_id,
      class: fresh.has(alarm.alarm_id) ? "alarm fresh" : "alarm",
      "data-severity": alarm.severity,
    },
    severity(alarm),
    el("a", { class: "item message", href: alarmLink(alarm.alarm_id) }, visible(alarm.message)),
    el("p", { class: "why" }, visible(alarm.reasons?.[0]?.text ?? "")),
    el(
      "p",
      { class: "facts" },
      facts.filter(Boolean).map((fact) => el("span", {}, fact)),
    ),
  );
}

/** The keys n and a for the alarm that has the focus. */
export function feedbackKeys(list) {
  const give = (anomalous) => () => {
    const alarm = list.alarms().find((known) => known.alarm_id === chosenAlarm());
    if (!alarm) return false;
    giveFeedback(alarm, anomalous, (label) => list.relabel(alarm, label));
    return true;
  };
  return { n: give(false), a: give(true) };
}
