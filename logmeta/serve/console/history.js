// What was done to a source: labels, which can be taken back, and the log of events.

import { get } from "./api.js";
import { attempt } from "./dialogs.js";
import { button, el, keyed, panel, template, visible } from "./dom.js";
import { undone } from "./feedback.js";
import { moment, plural } from "./format.js";
import { repeat } from "./live.js";
import { labelWord } from "./marks.js";

const EVERY_MS = 5_000;
const MOST = 50;
const WORDS = { feedback_undone: "undone" };

/** Two panels: what people said of lines, and what became ordinary by itself. Both can be taken back. */
export function labels(source, { signal, hasDetector, changed }) {
  const said = listed("Labels", "labels");
  const absorbed = listed("Absorbed after a deploy", "absorbed");
  const body = el("div", { class: "stack" }, said.body, absorbed.body);
  const taken = () => (refresh(), changed());
  const load = async () => {
    const found = hasDetector() ? await get("/v1/labels", { source }, signal) : { labels: [] };
    said.show(found.labels.toReversed(), (label) => labelItem(source, label, taken));
    absorbed.show((found.absorbed ?? []).toReversed(), (one) => absorbedItem(source, one, taken));
    body.hidden = said.body.hidden && absorbed.body.hidden;
  };
  const refresh = repeat(load, { everyMs: EVERY_MS, signal });
  return { body, refresh };
}

/** A panel that is there while it has something to show. */
function listed(title, name) {
  const body = panel(title, name);
  const list = body.appendChild(el("ol", { class: "log", role: "list" }));
  body.hidden = true;
  const show = (items, make) => {
    body.hidden = items.length === 0;
    keyed(list, items, (one) => one.id, make);
  };
  return { body, show };
}

function labelItem(source, label, taken) {
  const facts = [moment(label.at), label.by && visible(label.by)];
  const words = [labelWord(label.anomalous ? "anomaly" : "normal"), " ", template(label.template)];
  return undoable(source, label, { words, facts, taken });
}

function absorbedItem(source, one, taken) {
  const facts = [moment(one.at), plural(one.lines, "line"), plural(one.streams, "stream")];
  return undoable(source, one, { words: [template(one.template)], facts, taken });
}

function undoable(source, { id, template: text }, { words, facts, taken }) {
  const name = `Undo: ${visible(text)}`;
  const undo = button("Undo", () => undone(source, id, taken), { class: "quiet", "aria-label": name });
  const said = facts.filter(Boolean).map((fact) => el("span", {}, fact));
  return el("li", {}, el("div", {}, words, el("p", { class: "facts" }, said)), undo);
}

export function events(source, { signal }) {
  const body = panel("Events", "events");
  const list = body.appendChild(el("ol", { class: "log", role: "list" }));
  const more = body.appendChild(button("Older events", () => older(), { class: "quiet", hidden: true }));
  const state = { earlier: [], next: undefined };
  const draw = (latest) => {
    const known = new Set(latest.map(keyOf));
    keyed(list, [...latest, ...state.earlier.filter((event) => !known.has(keyOf(event)))], keyOf, eventItem);
    body.hidden = list.children.length === 0;
    more.hidden = !state.next;
  };
  const load = async () => {
    const page = await get("/v1/events", { source, limit: MOST }, signal);
    state.latest = page.events;
    if (state.next === undefined || !state.earlier.length) state.next = page.next;
    draw(page.events);
  };
  const older = async () => {
    const page = await attempt(() => get("/v1/events", { source, limit: MOST, before: state.next }, signal));
    if (page === null) return;
    Object.assign(state, { earlier: [...state.earlier, ...page.events], next: page.next });
    draw(state.latest);
  };
  body.hidden = true;
  return { body, refresh: repeat(load, { everyMs: EVERY_MS, signal }) };
}

const keyOf = (event) => event.cursor;

function eventItem(event) {
  const said = el(
    "p",
    { class: "facts" },
    el("span", {}, moment(event.at)),
    event.by && el("span", {}, visible(event.by)),
  );
  return el(
    "li",
    {},
    el(
      "div",
      {},
      el("span", { class: "event-kind" }, WORDS[event.kind] ?? visible(event.kind).replaceAll("_", " ")),
      " ",
      visible(event.text),
      said,
    ),
  );
}
