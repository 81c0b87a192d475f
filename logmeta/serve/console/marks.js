// Words that carry a colour; the colour only repeats what the word says.

import { el } from "./dom.js";
import { rate, score } from "./format.js";
import { DRIFT_WEIGHT, overBudget } from "./standing.js";

/** How bad the worst of its lines is, as a number and a word. */
export function severity(alarm) {
  return el(
    "span",
    { class: "severity", "data-severity": alarm.severity },
    el("b", {}, score(alarm.top_score ?? alarm.score)),
    ` ${alarm.severity}`,
  );
}

export function labelWord(label) {
  if (!label) return null;
  return el(
    "span",
    { class: "label-word", "data-label": label },
    label === "normal" ? "not an anomaly" : "was an anomaly",
  );
}

/** The rate of alarms beside what was asked for: the mark in the middle of the bar is the budget. */
export function budgetBar(entry) {
  const share = overBudget(entry);
  if (share === null)
    return entry.summary ? el("span", { class: "muted" }, `budget ${rate(entry.summary.alarm_budget_per_day)}`) : "";
  const words = `${rate(entry.alarms_per_day)} of ${rate(entry.summary.alarm_budget_per_day)}`;
  const bar = el("span", {
    class: share > 1 ? "budget over" : "budget",
    "aria-hidden": "true",
    vars: { "--share": Math.min(1, share / 2) },
  });
  return el("span", { class: "rate-cell" }, el("span", { class: share > 1 ? "signal" : "" }, words), bar);
}

export function driftMark(kind) {
  return DRIFT_WEIGHT[kind]
    ? el("span", { class: "drift-word", "data-drift": kind }, kind)
    : el("span", { class: "muted" }, kind ?? "");
}
