// Where a source stands, in one word, and how much it wants to be looked at. The words are `logmeta sources list`'s.

export const DRIFT_WEIGHT = { incident: 8, deploy: 4, gradual: 2 };

export function status(entry) {
  const { standing, summary } = entry;
  if (standing.disabled) return "disabled";
  if (entry.current === null) return standing.waiting ? "awaiting approval" : "learning";
  const word = summary === null ? "ready" : summary.provisional ? "provisional" : "scored";
  return [word, standing.pinned && "pinned", standing.relearn && "relearning"].filter(Boolean).join(", ");
}

/** Alarms a day over the budget; null while nobody knows. */
export function overBudget(entry) {
  const budget = entry.summary?.alarm_budget_per_day;
  return budget && entry.alarms_per_day !== null ? entry.alarms_per_day / budget : null;
}

export const drift = (entry) => entry.drift?.kind ?? null;
export const isDrifting = (entry) => Boolean(DRIFT_WEIGHT[drift(entry)]);
export const isOver = (entry) => (overBudget(entry) ?? 0) > 1;
export const waits = (entry) => entry.standing.waiting !== null;

export function attention(entry) {
  return (DRIFT_WEIGHT[drift(entry)] ?? 0) + (isOver(entry) ? 3 : 0) + (waits(entry) ? 1 : 0);
}

export function headline(entries) {
  const parts = [
    [entries.filter(isDrifting).length, "drifting"],
    [entries.filter(isOver).length, "over budget"],
    [entries.filter(waits).length, "awaiting approval"],
    [entries.filter((entry) => status(entry) === "learning").length, "learning"],
    [entries.filter((entry) => entry.standing.disabled).length, "disabled"],
  ];
  return (
    parts
      .filter(([number]) => number > 0)
      .map(([number, words]) => `${number} ${words}`)
      .join(" · ") || "all quiet"
  );
}
