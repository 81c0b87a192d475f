// What is decided about a source beside its versions: approve, pin, disable, learn anew, what to do about drift.

import { detector, patch } from "./api.js";
import { attempt, confirmed, notify, operatorName } from "./dialogs.js";
import { button, el } from "./dom.js";

const DISABLES = "Its lines are indexed as skipped and raise no alarm until it is enabled.";
const RELEARNS = "A new version is made from the next lines; the present one scores until then.";
const RESPONSES = [
  ["notify", "only tell"],
  ["recalibrate", "calibrate anew on gradual drift"],
  ["absorb", "absorb what a deploy changed"],
  ["relearn", "learn anew behind a deploy"],
];

/** Puts a decision into force under the operator's name; the answer, or null. */
export async function decide(entry, decision, told, reload) {
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
  const { standing, source, current } = entry;
  const act = (name, words, decision, told, ask = null) => {
    const press = async () => (!ask || (await confirmed(...ask))) && decide(entry, decision, told, reload);
    return button(words, press, { "data-act": name, class: name === "approve" ? "main" : "quiet" });
  };
  const hasVersion = current !== null;
  const canLearn = hasVersion && !standing.pinned && !standing.relearn;
  const anew = [`Relearn ${source}?`, RELEARNS, "Relearn"];
  return [
    standing.waiting !== null && approve(standing.waiting, act),
    hasVersion && pin(standing, act),
    canLearn && act("relearn", "Relearn", { relearn: true }, "It learns anew from the next lines.", anew),
    standing.relearn && act("keep", "Stop relearning", { relearn: false }, "The present version stays."),
    disable(entry, act),
  ];
}

const approve = (waiting, act) =>
  act("approve", `Approve version ${waiting}`, { approved: true }, `Version ${waiting} is in use.`);

function pin({ pinned }, act) {
  if (pinned) return act("pin", "Unpin", { pinned: false }, "Unpinned: it may be refreshed again.");
  return act("pin", "Pin", { pinned: true }, "Pinned: nothing that runs by itself replaces this version.");
}

function disable({ standing, source }, act) {
  if (standing.disabled) return act("enable", "Enable", { disabled: false }, "It is scored again.");
  const ask = [`Disable ${source}?`, DISABLES, "Disable"];
  return act("disable", "Disable", { disabled: true }, "It is not scored any more.", ask);
}

/** What is done when the source drifts; until somebody chooses, it is as the scorer was started. */
export function response(entry, reload) {
  if (!("response" in entry.standing) || entry.current === null) return null;
  const chosen = entry.standing.response;
  const choices = chosen === null ? [["", "as the scorer was started"], ...RESPONSES] : RESPONSES;
  const options = choices.map(([value, words]) => el("option", { value, selected: value === chosen }, words));
  const press = (event) => choose(entry, event.target, reload);
  const select = el("select", { "data-act": "response", on: { change: press } }, options);
  return el("label", { class: "response" }, "When it drifts: ", select);
}

async function choose(entry, select, reload) {
  const words = select.selectedOptions[0].textContent;
  const answer = await decide(entry, { response: select.value }, `When it drifts: ${words}.`, reload);
  if (answer === null) select.value = entry.standing.response ?? "";
}
