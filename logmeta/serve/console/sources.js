// All sources: which want to be looked at, their alarms a day beside the budget, and the latest alarms of all.

import { alarmList, feedbackKeys } from "./alarms.js";
import { get } from "./api.js";
import { button, el, keyed, panel, visible } from "./dom.js";
import { moment, plural } from "./format.js";
import { bindKeys } from "./keys.js";
import { sourceLink } from "./links.js";
import { repeat } from "./live.js";
import { budgetBar, driftMark } from "./marks.js";
import { attention, drift, headline, overBudget, status } from "./standing.js";

const EVERY_MS = 8_000;
const LATEST = 12; // alarms beside the table
const COLUMNS = [
  ["Source", "source", (entry) => entry.source, 1],
  ["Status", "status", status, 1],
  ["Version", "version", (entry) => Number(entry.current ?? 0), -1],
  ["Alarms a day", "rate", (entry) => overBudget(entry) ?? -1, -1],
  ["Drift", "drift", (entry) => drift(entry) ?? "", -1],
  ["Last line", "seen", (entry) => entry.last_seen ?? "", -1],
];
const chosen = { filter: "", column: null, direction: 1 }; // kept while other views are open

export function openSources({ root, signal, arrive }) {
  const parts = build(root);
  const state = { entries: null };
  const draw = () => drawn(parts, state.entries);
  parts.filter.addEventListener("input", () => ((chosen.filter = parts.filter.value), draw()));
  parts.head.addEventListener("click", (event) => (sortBy(event.target.closest("button")?.dataset.column), draw()));
  const load = async () => {
    state.entries = (await get("/v1/detectors", {}, signal)).detectors;
    draw();
    arrive();
  };
  repeat(load, { everyMs: EVERY_MS, signal });
  bindKeys(feedbackKeys(alarmList(parts.alarms, { signal, most: LATEST, onLoad: arrive })));
  parts.alarms.append(el("a", { class: "more-link", href: "#/alarms" }, "All alarms"));
}

function build(root) {
  const filter = el("input", {
    type: "search",
    id: "filter",
    "data-filter": true,
    placeholder: "Filter",
    value: chosen.filter,
    "aria-label": "Filter the sources by name, status or drift",
    "aria-keyshortcuts": "/",
  });
  const said = el("p", { class: "headline", role: "status" }, "Loading …");
  const head = el(
    "tr",
    { role: "row" },
    COLUMNS.map(([title, name]) => heading(title, name)),
  );
  const body = el("tbody", { role: "rowgroup", "data-list": "sources" });
  const table = el(
    "table",
    { class: "sources", role: "table", "aria-label": "Sources" },
    el("thead", { role: "rowgroup" }, head),
    body,
  );
  const alarms = panel("Latest alarms", "latest");
  const top = el("div", { class: "view-head" }, el("div", {}, el("h1", { tabindex: -1 }, "Sources"), said), filter);
  const list = el("section", { class: "panel flush", "aria-label": "Sources" }, table);
  root.replaceChildren(top, el("div", { class: "beside" }, list, alarms));
  return { filter, said, head, body, alarms };
}

function heading(title, name) {
  return el("th", { scope: "col", role: "columnheader", class: name }, button(title, null, { "data-column": name }));
}

function sortBy(column) {
  if (!column) return;
  const first = COLUMNS.find(([, name]) => name === column)[3];
  if (chosen.column !== column) Object.assign(chosen, { column, direction: first });
  else if (chosen.direction === first) chosen.direction = -first;
  else chosen.column = null; // the third press: what wants attention comes first again
}

function drawn({ said, head, body }, entries) {
  if (entries === null) return;
  const wanted = entries.filter(matches).sort(order());
  for (const cell of head.children) cell.setAttribute("aria-sort", sortOf(cell));
  keyed(
    body,
    wanted.length ? wanted : [null],
    (entry) => entry?.source ?? "",
    (entry) => (entry ? row(entry) : none(entries)),
  );
  const sentence = entries.length ? `${plural(entries.length, "source")}: ${headline(entries)}` : "No source yet";
  const shown = wanted.length < entries.length ? `${wanted.length} of ${sentence}` : sentence;
  if (said.textContent !== shown) said.textContent = shown;
}

function sortOf(cell) {
  if (cell.querySelector("button").dataset.column !== chosen.column) return "none";
  return chosen.direction > 0 ? "ascending" : "descending";
}

function matches(entry) {
  const text = `${entry.source} ${status(entry)} ${drift(entry) ?? ""}`.toLowerCase();
  return chosen.filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function order() {
  const [, , value] = COLUMNS.find(([, name]) => name === chosen.column) ?? [null, null, (entry) => -attention(entry)];
  const direction = chosen.column ? chosen.direction : 1;
  return (a, b) => direction * compare(value(a), value(b)) || compare(a.source, b.source);
}

const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);

function none(entries) {
  const why = entries.length
    ? "No source matches this filter."
    : "Nothing was scored here yet. Sources appear with their first lines: send some to POST /v1/score.";
  return el("tr", { role: "row" }, el("td", { class: "empty", role: "cell", colspan: COLUMNS.length }, why));
}

function row(entry) {
  const cell = (name, ...content) => el("td", { role: "cell", class: name }, ...content);
  const link = el("a", { class: "item", href: sourceLink(entry.source) }, visible(entry.source));
  return el(
    "tr",
    { role: "row" },
    el("th", { scope: "row", role: "rowheader", class: "source" }, link),
    cell("status", standing(entry)),
    cell("version", entry.current ? el("span", {}, el("span", { class: "narrow" }, "version "), entry.current) : ""),
    cell("rate", budgetBar(entry)),
    cell("drift", driftMark(drift(entry))),
    cell("seen", entry.last_seen ? moment(entry.last_seen) : ""),
  );
}

function standing(entry) {
  const lines =
    entry.current === null && entry.learning_lines !== null ? `, ${plural(entry.learning_lines, "line")}` : "";
  return el("span", { class: "status-word", "data-status": status(entry).split(",")[0] }, status(entry) + lines);
}
