// "Not an anomaly" and "was an anomaly", and taking it back.

import { get, post } from "./api.js";
import { attempt, notify, operatorName } from "./dialogs.js";
import { plural } from "./format.js";

/** Labels an alarm; `labelled` is told of the label it has now, as the API words it. */
export async function giveFeedback(alarm, anomalous, labelled) {
  const by = await operatorName();
  if (!by) return;
  const answer = await attempt(() => post("/v1/feedback", { alarm_id: alarm.alarm_id, anomalous, by }));
  if (!answer) return;
  labelled(anomalous ? "anomaly" : "normal");
  notify(told(answer, anomalous), { undo: () => undone(answer.source, answer.label.id, () => labelled(null)) });
}

function told({ source, version, withdrawn, warning }, anomalous) {
  const what = anomalous ? "an anomaly" : "not an anomaly";
  const others = withdrawn?.length ? `; ${plural(withdrawn.length, "contrary label")} withdrawn` : "";
  const behind = warning ? ` By it the source falls behind what it was: ${warning}.` : "";
  return `Called ${what}: version ${version} of ${source} scores from now on${others}.${behind}`;
}

/** Takes a label back by its id. */
export async function undone(source, id, taken) {
  const by = await operatorName();
  if (!by) return;
  const answer = await attempt(() => post("/v1/feedback/undo", { source, id, by }));
  if (!answer) return;
  taken();
  notify(`Taken back: version ${answer.version} of ${source} scores from now on.`);
}

/** Takes back what an alarm is called, whoever called it so. */
export async function undoneFor(alarm, taken) {
  const found = await attempt(() => get("/v1/labels", { source: alarm.source }));
  if (!found) return;
  const anomalous = alarm.label === "anomaly";
  const label = found.labels.findLast((one) => one.template === alarm.template && one.anomalous === anomalous);
  if (label) await undone(alarm.source, label.id, taken);
  else notify("That label is no longer kept.", { isTrouble: true });
}
