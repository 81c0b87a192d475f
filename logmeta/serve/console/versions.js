// Versions of a source's detector, and what an operator decides: roll back, pin, disable, approve, learn anew, promote.

import { detector, patch } from "./api.js";
import { attempt, confirmed, notify, operatorName } from "./dialogs.js";
import { button, el, visible } from "./dom.js";
import { count, moment, plural } from "./format.js";

const SHOWN = 6;
const opened = new Set(); // sources whose older versions somebody asked for

async function decide(entry, decision, told, reload) {
  const by = await operatorName();
  if (!by) return null;
  const answer = await attempt(() => patch(detector(entry.source), { ...decision, by }));
  if (answer) {
    notify(told);
    reload();
  }
  return answer;
}

/** Buttons for what can be decided about the source as it stands. */
export function switches(entry, reload) {
  const { standing, source } = entry;
  const act = (name, words, decision, told, ask = null) =>
    button(words, async () => (!ask || (await confirmed(...ask))) && decide(entry, decision, told, reload), { "data-act": name, class: name === "approve" ? "main" : "quiet" });
  const stop = [`Disable ${source}?`, "Its lines are indexed as skipped and raise no alarm until it is enabled.", "Disable"];
  const anew = [`Relearn ${source}?`, "A new version is made from the next lines; the present one scores until then.", "Relearn"];
  return [
    standing.waiting !== null && act("approve", `Approve version ${standing.waiting}`, { approved: true }, `Version ${standing.waiting} is in use.`),
    entry.current !== null && pin(standing, act),
    entry.current !== null && !standing.pinned && !standing.relearn && act("relearn", "Relearn", { relearn: true }, "It learns anew from the next lines.", anew),
    standing.relearn && act("keep", "Stop relearning", { relearn: false }, "The present version stays."),
    standing.disabled ? act("enable", "Enable", { disabled: false }, "It is scored again.") : act("disable", "Disable", { disabled: true }, "It is not scored any more.", stop),
  ];
}

function pin(standing, act) {
  if (standing.pinned) return act("pin", "Unpin", { pinned: false }, "Unpinned: it may be refreshed again.");
  return act("pin", "Pin", { pinned: true }, "Pinned: nothing that runs by itself replaces this version.");
}

/** The versions, newest first, with where each came from as far as that is known. */
export function versions(entry, reload) {
  const known = new Map((entry.lineage ?? []).map((made) => [made.version, made]));
  const newest = [...entry.versions].sort((a, b) => Number(b) - Number(a));
  if (!newest.length) return [];
  const isOpen = opened.has(entry.source);
  const isHidden = (version, i) => !isOpen && i >= SHOWN && version !== entry.current;
  const items = newest.map((version, i) => item(entry, version, known.get(version), { reload, hidden: isHidden(version, i) }));
  const list = el("ol", { class: "version-list", role: "list" }, items);
  return [shadow(entry, reload), list, older(entry.source, items.filter((one) => one.hidden))].filter(Boolean);
}

function older(source, items) {
  if (!items.length) return null;
  const show = (event) => {
    opened.add(source);
    for (const one of items) one.hidden = false;
    event.target.remove();
  };
  return button(plural(items.length, "older version"), show, { class: "quiet", "data-act": "older" });
}

function item(entry, version, made, { reload, hidden }) {
  const isCurrent = version === entry.current;
  const facts = made && [made.made_at && moment(made.made_at), made.parent && `from ${made.parent}`, made.lines_used && `${count(made.lines_used)} lines`, made.labels > 0 && plural(made.labels, "label"), made.by && `by ${visible(made.by)}`];
  return el(
    "li",
    { hidden, class: isCurrent ? "version-item current" : "version-item", "aria-current": isCurrent ? "true" : null },
    el("b", { class: "version-name" }, version),
    el("div", {}, el("p", {}, [isCurrent && "in use", made?.why && visible(made.why)].filter(Boolean).join(" · ")), facts && el("p", { class: "facts" }, facts.filter(Boolean).map((fact) => el("span", {}, fact)))),
    el("span", { class: "version-acts" }, acts(entry, version, isCurrent, reload)),
  );
}

function acts(entry, version, isCurrent, reload) {
  if (isCurrent || version === entry.standing.waiting) return [];
  const older = Number(version) < Number(entry.current);
  const title = `${older ? "Roll back to" : "Use"} version ${version}?`;
  const consequence = `${entry.source} is scored by version ${version} instead of ${entry.current ?? "none"} from the next lines on. Version ${entry.current ?? "none"} stays and can be used again.`;
  const use = async () => (await confirmed(title, consequence, older ? "Roll back" : "Use")) && decide(entry, { current: version }, `Version ${version} is in use.`, reload);
  const beside = () => decide(entry, { shadow: version }, `Version ${version} scores beside the current one; its verdicts are only counted.`, reload);
  return [
    button(older ? "Roll back" : "Use", use, { class: "quiet", "data-act": `use ${version}`, "aria-label": `${older ? "Roll back to" : "Use"} version ${version}` }),
    "shadow" in entry && entry.shadow === null && button("Shadow", beside, { class: "quiet", "data-act": `shadow ${version}`, "aria-label": `Let version ${version} score beside the current one` }),
  ];
}

/** What a version that scores beside the current one would change, and whether it may take over. */
function shadow(entry, reload) {
  const { shadow: beside } = entry;
  if (!beside) return null;
  const figures = `Version ${beside.version} scores beside ${entry.current}: ${plural(beside.lines, "line")}, ${plural(beside.alarms_candidate, "alarm")} where ${entry.current} raised ${count(beside.alarms_current)}; ${plural(beside.changed, "verdict")} would change.`;
  const stop = () => decide(entry, { shadow: null }, "It scores beside no more.", reload);
  return el("div", { class: "shadow" }, el("p", {}, figures), button("Promote", () => promote(entry, reload), { class: "main", "data-act": "promote" }), button("Stop", stop, { class: "quiet", "data-act": "stop" }));
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
    if (error.status === 409 && (await confirmed("Promote it nevertheless?", error.message, "Promote nevertheless"))) decide(entry, { promote: true, force: true }, told, reload);
    else if (error.status !== 409) await attempt(() => Promise.reject(error));
  }
}
