// Versions of a source's detector: where they come from, roll back, try one beside the current one, promote it.

import { detector, patch } from "./api.js";
import { decide } from "./decisions.js";
import { complain, confirmed, notify, operatorName } from "./dialogs.js";
import { button, el, visible } from "./dom.js";
import { count, moment, plural } from "./format.js";

const SHOWN = 6;
const opened = new Set(); // sources whose older versions somebody asked for

/** The versions, newest first, with where each came from as far as that is known. */
export function versions(entry, reload) {
  const known = new Map((entry.lineage ?? []).map((made) => [made.version, made]));
  const newest = [...entry.versions].sort((a, b) => Number(b) - Number(a));
  if (!newest.length) return [];
  const isShown = (version, i) => opened.has(entry.source) || i < SHOWN || version === entry.current;
  const items = newest.map((version, i) => {
    const made = known.get(version);
    return item(entry, version, { made, reload, hidden: !isShown(version, i) });
  });
  const hidden = items.filter((one) => one.hidden);
  const list = el("ol", { class: "version-list", role: "list" }, items);
  return [shadow(entry, reload), list, hidden.length > 0 && older(entry.source, hidden)].filter(Boolean);
}

function older(source, items) {
  const show = (event) => {
    opened.add(source);
    for (const one of items) one.hidden = false;
    event.target.remove();
  };
  return button(plural(items.length, "older version"), show, { class: "quiet", "data-act": "older" });
}

function item(entry, version, { made, reload, hidden }) {
  const isCurrent = version === entry.current;
  const said = [isCurrent && "in use", made?.why && visible(made.why)].filter(Boolean).join(" · ");
  return el(
    "li",
    { hidden, class: isCurrent ? "version-item current" : "version-item", "aria-current": isCurrent ? "true" : null },
    el("b", { class: "version-name" }, version),
    el("div", {}, el("p", {}, said), made && origin(made)),
    el(
      "span",
      { class: "version-acts" },
      isCurrent ? [] : [use(entry, version, reload), tryBeside(entry, version, reload)],
    ),
  );
}

function origin({ made_at, parent, lines_used, labels, by }) {
  const facts = [
    made_at && moment(made_at),
    parent && `from ${parent}`,
    lines_used && plural(lines_used, "line"),
    labels > 0 && plural(labels, "label"),
    by && `by ${visible(by)}`,
  ];
  const shown = facts.filter(Boolean).map((fact) => el("span", {}, fact));
  return el("p", { class: "facts" }, shown);
}

function use(entry, version, reload) {
  const { current, source, standing } = entry;
  if (version === standing.waiting) return null;
  const isBack = Number(version) < Number(current);
  const words = isBack ? "Roll back to" : "Use";
  const instead = current === null ? "" : ` instead of ${current}, which stays and can be used again`;
  const ask = [`${words} version ${version}?`, `${source} is scored by it from the next lines on${instead}.`];
  const press = async () => {
    if (!(await confirmed(...ask, isBack ? "Roll back" : "Use"))) return;
    await decide(entry, { current: version }, `Version ${version} is in use.`, reload);
  };
  const label = `${words} version ${version}`;
  return button(isBack ? "Roll back" : "Use", press, { class: "quiet", "data-act": label, "aria-label": label });
}

function tryBeside(entry, version, reload) {
  if (entry.shadow !== null) return null; // one is tried already, or this scorer tries none
  const told = `Version ${version} scores beside the current one; its verdicts are only counted.`;
  const press = () => decide(entry, { shadow: version }, told, reload);
  const label = `Let version ${version} score beside the current one`;
  return button("Shadow", press, { class: "quiet", "data-act": label, "aria-label": label });
}

/** What a version that scores beside the current one would change, and whether it may take over. */
function shadow(entry, reload) {
  const { shadow: beside, current } = entry;
  if (!beside) return null;
  const failed = beside.state === "failed";
  const said = failed ? `ended: ${visible(beside.reason)}` : `scores beside ${current}: ${compared(beside, current)}`;
  const stop = () => decide(entry, { shadow: null }, "It scores beside no more.", reload);
  return el(
    "div",
    { class: "shadow", role: "group", "aria-label": "Tried beside the current version" },
    el("p", {}, `Version ${beside.version} ${said}`),
    !failed && button("Promote", () => promote(entry, reload), { class: "main", "data-act": "promote" }),
    button("Stop", stop, { class: "quiet", "data-act": "stop" }),
  );
}

function compared({ lines, alarms_candidate, alarms_current, changed, dropped }, current) {
  const alarms = `${plural(alarms_candidate, "alarm")} where ${current} raised ${count(alarms_current)}`;
  const lost = dropped ? `; ${plural(dropped, "line")} came too fast for it` : "";
  return `${plural(lines, "line")}, ${alarms}; ${plural(changed, "verdict")} would change${lost}.`;
}

/** Promotes the candidate; where the guard refuses, its reason is shown and the operator may insist. */
async function promote(entry, reload) {
  const by = await operatorName();
  if (!by) return;
  const told = `Version ${entry.shadow.version} is in use.`;
  try {
    await patch(detector(entry.source), { promote: true, by });
    notify(told);
    reload();
  } catch (error) {
    if (error.type !== "falls_behind") complain(error);
    else if (await confirmed("Promote it nevertheless?", error.message, "Promote nevertheless"))
      await decide(entry, { promote: true, force: true }, told, reload);
  }
}
