// What was done to a source: labels, which can be taken back, and the log of events.

import { get } from "./api.js";
import { attempt } from "./dialogs.js";
import { button, el, keyed, panel, template, visible } from "./dom.js";
import { undone } from "./feedback.js";
import { moment } from "./format.js";
import { repeat } from "./live.js";
import { labelWord } from "./marks.js";

const EVERY_MS = 5_000;
const MOST = 50;
const WORDS = { feedback_undone: "undone" };

export function labels(source, { signal, hasDetector, changed }) {
  const body = panel("Labels", "labels");
  const list = body.appendChild(el("ol", { class: "log", role: "list" }));
  const taken = () => (refresh(), changed());
  const load = async () => {
    const found = hasDetector() ? await get("/v1/labels", { source }, signal) : { labels: [] };
    body.hidden = found.labels.length === 0;
    keyed(
      list,
      found.labels.toReversed(),
      (label) => label.id,
      (label) => labelItem(source, label, taken),
    );
  };
  body.hidden = true;
  const refresh = repeat(load, { everyMs: EVERY_MS, signal });
  return { body, refresh };
}

function labelItem(source, label, taken) {
  const undo = button("Undo", () => undone(source, label.id, taken), {
    class: "quiet",
    "aria-label": `Undo label ${label.number ?? label.id}`,
  });
  const said = el(
    "p",
    { class: "facts" },
    el("span", {}, moment(label.at)),
    label.by && el("span", {}, visible(label.by)),
  );
  return el(
    "li",
    {},
    el("div", {}, labelWord(label.anomalous ? "anomaly" : "normal"), " ", template(label.template), said),
    undo,
  );
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
