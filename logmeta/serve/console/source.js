// One source: scores over time, its alarms, whether it drifts, its versions, labels and events.

import { alarmList, feedbackKeys } from "./alarms.js";
import { detector, get } from "./api.js";
import { response, switches } from "./decisions.js";
import { el, panel, visible } from "./dom.js";
import { count, percent, rate } from "./format.js";
import { events, labels } from "./history.js";
import { bindKeys } from "./keys.js";
import { repeat } from "./live.js";
import { budgetBar, driftMark } from "./marks.js";
import { status } from "./standing.js";
import { timeline } from "./timeline.js";
import { versions } from "./versions.js";

const EVERY_MS = 10_000;
const NO_DRIFT = { none: "None: the lines look like those it learned from.", learning: "Not known yet." };
const MOST_PAGES = 20; // read to reach the alarms of a step of the timeline

export function openSource({ root, signal, name, arrive }) {
  const parts = build(root, name);
  document.title = `${name} · logmeta`;
  const seen = { current: null };
  const load = async () => {
    const entry = await entryOf(name, seen, signal);
    if (entry === null) return gone(root, name, arrive);
    drawn(parts, entry, () => refresh());
    if (parts.version !== entry.current) for (const part of told) part.refresh();
    parts.version = entry.current;
    arrive();
  };
  const chart = timeline(name, { signal, choose: (from, to) => toAlarms(list, parts.alarms, from, to) });
  const told = [
    labels(name, { signal, hasDetector: () => seen.current !== null, changed: () => refresh() }),
    events(name, { signal }),
  ];
  const list = alarmList(parts.alarms, {
    source: name,
    signal,
    onLoad: arrive,
    onNew: () => [chart, ...told].forEach((part) => part.refresh()),
    onLabel: () => refresh(),
  });
  parts.main.prepend(chart.body);
  parts.side.append(...told.map((part) => part.body));
  bindKeys(feedbackKeys(list));
  const refresh = repeat(load, { everyMs: EVERY_MS, signal });
}

/** A learning source has no detector to show yet, but stands in the list. Null when nobody knows it. */
async function entryOf(name, seen, signal) {
  if (seen.current === null) {
    const { detectors } = await get("/v1/detectors", {}, signal);
    const listed = detectors.find((entry) => entry.source === name) ?? null;
    if (!listed?.current) return listed;
  }
  const entry = await get(detector(name), {}, signal);
  seen.current = entry.current;
  return entry;
}

function gone(root, name, arrive) {
  root
    .querySelector(".standing")
    .replaceChildren(`Nothing is known of a source ${visible(name)}; it appears here with its first lines.`);
  arrive();
}

function build(root, name) {
  const crumbs = el(
    "nav",
    { class: "crumbs", "aria-label": "Where you are" },
    el("a", { href: "#/", "data-up": true }, "Sources"),
  );
  const standing = el("div", { class: "standing" }, "Loading …");
  const decide = el("div", { class: "decide", role: "group", "aria-label": "Decide about this source" });
  const head = el(
    "div",
    { class: "view-head" },
    el("div", {}, crumbs, el("h1", { tabindex: -1 }, visible(name)), standing),
    decide,
  );
  const parts = {
    standing,
    decide,
    alarms: panel("Alarms", "list"),
    drift: panel("Drift", "evidence"),
    versions: panel("Versions", "versions"),
    warnings: panel("Before you trust it", "warnings"),
  };
  parts.main = el("div", { class: "stack" }, parts.alarms);
  parts.side = el("div", { class: "stack" }, parts.drift, parts.versions, parts.warnings);
  root.replaceChildren(head, el("div", { class: "beside" }, parts.main, parts.side));
  return parts;
}

function drawn(parts, entry, reload) {
  const said = JSON.stringify(entry);
  if (parts.said === said) return;
  parts.said = said;
  kept(parts.standing, facts(entry));
  kept(parts.decide, switches(entry, reload));
  filled(parts.drift, [...drift(entry.drift), response(entry, reload)].filter(Boolean));
  filled(parts.versions, versions(entry, reload));
  filled(parts.warnings, warnings(entry.summary?.warnings ?? []));
}

/** New content; the button that had the focus has it again. */
function kept(parent, children) {
  const act = parent.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  parent.replaceChildren(...children.filter(Boolean));
  if (act) parent.querySelector(`[data-act="${CSS.escape(act)}"]`)?.focus({ preventScroll: true });
}

function filled(part, children) {
  kept(part, [part.querySelector("h2"), ...children]);
  part.hidden = children.length === 0;
}

function facts(entry) {
  const { summary } = entry;
  const lines = entry.current === null && entry.learning_lines ? `, ${count(entry.learning_lines)} lines so far` : "";
  const fact = (words, ...value) =>
    value.some(Boolean) && el("span", { class: "fact" }, el("span", { class: "muted" }, words), " ", ...value);
  return [
    el("span", { class: "status-word", "data-status": status(entry).split(",")[0] }, status(entry) + lines),
    entry.current && fact("version", entry.current),
    summary && fact(entry.alarms_per_day === null ? "alarms a day:" : "alarms a day", budgetBar(entry)),
    entry.drift && fact("drift", driftMark(entry.drift.kind)),
    summary && fact("made from", `${count(summary.lines_used)} lines, ${count(summary.templates)} templates`),
    summary && fact("lines a day", count(summary.lines_per_day)),
    entry.standing.by && fact("decided by", visible(entry.standing.by)),
  ];
}

function drift(found) {
  if (!found) return [];
  const kind = el("p", {}, NO_DRIFT[found.kind] ?? driftMark(found.kind));
  const evidence = el(
    "ul",
    { class: "sentences" },
    found.evidence.map((sentence) => el("li", {}, visible(sentence))),
  );
  const unseen = `unseen ${percent(found.unseen_share)} of the last ${count(found.lines)} lines`;
  const figures = el("p", { class: "muted figures" }, `${unseen} · martingale ${rate(found.martingale_nats)} nats`);
  return [kind, found.evidence.length > 0 && evidence, figures];
}

function warnings(sentences) {
  return sentences.length
    ? [
        el(
          "ul",
          { class: "sentences" },
          sentences.map((sentence) => el("li", {}, visible(sentence))),
        ),
      ]
    : [];
}

/** Puts the focus on the newest alarm of a time, reading older ones until it is reached. */
async function toAlarms(list, part, from, to) {
  const within = (alarm) => new Date(alarm.at) >= from && new Date(alarm.at) < to;
  for (let page = 0; page < MOST_PAGES && !list.alarms().some(within) && list.hasOlder(); page += 1) await list.older();
  const found = list.alarms().find(within);
  const link = found && part.querySelector(`[data-alarm="${CSS.escape(found.alarm_id)}"] a.item`);
  link?.focus();
}
