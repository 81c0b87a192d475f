// One alarm: its line among its neighbours, why it was raised, what it is nearest to, and what somebody says of it.

import { get } from "./api.js";
import { button, el, panel, template, visible } from "./dom.js";
import { giveFeedback, undoneFor } from "./feedback.js";
import { chance, moment, percent, plural, score } from "./format.js";
import { bindKeys } from "./keys.js";
import { sourceLink } from "./links.js";
import { repeat } from "./live.js";
import { labelWord, severity } from "./marks.js";

const EVERY_MS = 5_000;

export function openAlarm({ root, signal, name, arrive }) {
  const state = { root, signal, shown: null, alarm: null };
  bindKeys({ n: () => label(state, false), a: () => label(state, true) });
  const load = async () => {
    draw(state, await get(`/v1/alarms/${encodeURIComponent(name)}`, {}, signal));
    arrive();
  };
  root.append(el("p", { class: "loading" }, "Loading …"));
  repeat(load, { everyMs: EVERY_MS, signal, onGone: () => gone(root, arrive) });
}

function gone(root, arrive) {
  const why = "It was never raised here, or it is older than what the scorer keeps.";
  root.replaceChildren(
    el("h1", { tabindex: -1 }, "No such alarm"),
    el("p", {}, why),
    el("a", { href: "#/", "data-up": true }, "All sources"),
  );
  arrive();
}

/** Draws what differs from what is shown, so that a reader's selection and focus stay. */
function draw(state, alarm) {
  state.alarm = alarm;
  const said = JSON.stringify(alarm);
  if (state.shown === said) return;
  const focused = document.activeElement?.dataset.act;
  state.shown = said;
  document.title = `${alarm.source}: ${alarm.severity} alarm · logmeta`;
  state.root.replaceChildren(
    head(alarm),
    verdict(state),
    el("div", { class: "beside opened" }, context(alarm), evidence(alarm)),
  );
  if (focused) state.root.querySelector(`[data-act="${focused}"]`)?.focus({ preventScroll: true });
}

function head(alarm) {
  const up = el("a", { href: sourceLink(alarm.source), "data-up": true }, visible(alarm.source));
  const title = el("h1", { tabindex: -1, class: "alarm-title" }, visible(alarm.reasons[0]?.text ?? "Anomalous line"));
  return el(
    "div",
    {},
    el("nav", { class: "crumbs", "aria-label": "Where you are" }, el("a", { href: "#/" }, "Sources"), " / ", up),
    title,
    facts(alarm),
  );
}

function facts(alarm) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
  return el(
    "dl",
    { class: "facts-row" },
    fact("Severity", severity(alarm)),
    fact("At", moment(alarm.at)),
    alarm.stream && fact("Stream", visible(alarm.stream)),
    fact("As odd as this", chance(alarm.p_value), alarm.provisional && " or fewer (provisional)"),
    fact("Lines in it", plural(alarm.lines, "line")),
    fact("Version", alarm.version),
  );
}

function verdict(state) {
  const { alarm } = state;
  const act = (name, words, key, anomalous) => {
    const press = () => label(state, anomalous);
    return button([words, " ", el("kbd", { "aria-hidden": "true" }, key)], press, {
      "data-act": name,
      "aria-keyshortcuts": key,
      "aria-pressed": String(alarm.label === name),
    });
  };
  const choices = [act("normal", "Not an anomaly", "n", false), act("anomaly", "Was an anomaly", "a", true)];
  return el(
    "div",
    { class: "verdict", role: "group", "aria-label": "What do you say?" },
    choices,
    alarm.label && stands(state),
  );
}

function stands(state) {
  const undo = button("Undo", () => undoneFor(state.alarm, () => relabelled(state, null)), {
    class: "quiet",
    "data-act": "undo",
  });
  return el("span", { class: "stands" }, "Called ", labelWord(state.alarm.label), undo);
}

function label(state, anomalous) {
  if (!state.alarm) return false;
  giveFeedback(state.alarm, anomalous, (given) => relabelled(state, given));
  return true;
}

function relabelled(state, given) {
  draw(state, { ...state.alarm, label: given });
}

function context(alarm) {
  const around = [...(alarm.before ?? []), { ...alarm, itself: true }, ...(alarm.after ?? [])];
  const none =
    around.length === 1 ? el("p", { class: "muted" }, "No neighbouring lines are kept of this stream.") : null;
  return panel("In its stream", "context", el("ol", { class: "lines", role: "list" }, around.map(line)), none);
}

function line({ line_no, message, score: odd, itself }) {
  const attributes = {
    class: itself ? "line itself" : odd >= 0.5 ? "line odd" : "line",
    "aria-current": itself ? "true" : null,
  };
  const bar = el("span", { class: "line-score", title: `score ${score(odd)}`, vars: { "--share": odd } }, score(odd));
  return el("li", attributes, el("span", { class: "line-no" }, line_no), el("code", {}, visible(message)), bar);
}

function evidence(alarm) {
  const typical = alarm.typical && [el("h3", {}, "Typical here"), el("p", {}, template(alarm.typical))];
  return el(
    "div",
    { class: "stack" },
    panel("Why", "reasons", el("ul", { role: "list" }, alarm.reasons.map(reason))),
    panel(
      alarm.new_template ? "Its template, never seen before" : "Its template",
      "templates",
      el("p", {}, template(alarm.template)),
      typical,
    ),
    likened(
      "Nearest known templates",
      "nearest",
      alarm.nearest,
      (one) => score(one.similarity),
      (one) => one.similarity,
    ),
    likened(
      "Usual in this source",
      "usual",
      alarm.usual,
      (one) => percent(one.share),
      (one) => one.share,
    ),
  );
}

function reason({ text, weight }) {
  return measured(visible(text), percent(weight), weight);
}

function likened(title, name, entries, words, share) {
  if (!entries?.length) return null;
  return panel(
    title,
    name,
    el(
      "ul",
      { role: "list" },
      entries.map((one) => measured(template(one.template), words(one), share(one))),
    ),
  );
}

function measured(what, words, share) {
  const bar = el("span", {
    class: "measure",
    "aria-hidden": "true",
    vars: { "--share": Math.max(0, Math.min(1, share)) },
  });
  return el(
    "li",
    { class: "measured" },
    el("span", { class: "what" }, what),
    el("span", { class: "number" }, words),
    bar,
  );
}
