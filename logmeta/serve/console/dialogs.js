// What the page asks and tells in a box of its own: the operator's name, a confirmation, the keys. And short notices.

import { button, el } from "./dom.js";
import { KEYS } from "./keys.js";
import { keepOperator, operator } from "./session.js";

const NOTICE_MS = 12_000;

/** Opens a modal box; resolves with what was submitted, or null when it was closed. */
function asked(title, confirm, ...children) {
  return new Promise((resolve) => {
    const form = el("form", { method: "dialog" }, el("h2", { id: "dialog-title" }, title), ...children);
    const box = el("dialog", { "aria-labelledby": "dialog-title" }, form);
    form.append(buttons(box, confirm));
    form.addEventListener("submit", (event) => (event.preventDefault(), box.close("yes")));
    box.addEventListener("close", () => (box.remove(), resolve(box.returnValue === "yes" ? form : null)));
    document.body.append(box);
    box.showModal();
  });
}

function buttons(box, confirm) {
  const cancel = button(confirm ? "Cancel" : "Close", () => box.close(""), { class: "quiet" });
  return el(
    "div",
    { class: "dialog-buttons" },
    cancel,
    confirm && el("button", { type: "submit", class: "main" }, confirm),
  );
}

export async function confirmed(title, consequence, confirm) {
  return (await asked(title, confirm, el("p", {}, consequence))) !== null;
}

/** The operator's name, asked for the first time it is needed; null when nobody gives one. */
export const operatorName = async () => operator() ?? (await askOperator());

export async function askOperator() {
  const id = "operator-name";
  const input = el("input", {
    id,
    name: id,
    required: true,
    maxlength: 80,
    autocomplete: "username",
    value: operator() ?? "",
  });
  const why = "It stands beside every decision and label you make, for those who come after you.";
  const form = await asked("Who are you?", "Keep", el("p", {}, why), el("label", { for: id }, "Your name"), input);
  if (form && input.value.trim()) keepOperator(input.value);
  showOperator();
  return form ? operator() : null;
}

export function showOperator() {
  const named = document.getElementById("operator");
  named.hidden = !operator();
  named.textContent = operator() ?? "";
  named.setAttribute("aria-label", `You are ${operator()}; change the name`);
}

export function help() {
  if (document.querySelector("dialog[open]")) return;
  const rows = KEYS.map(([key, meaning]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, meaning)]);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  asked(
    "Keys",
    null,
    el("dl", { class: "keys" }, rows),
    el("p", { class: "muted" }, `Times are ${zone}; hover for UTC.`),
  );
}

/** A notice that goes by itself, with something to do about it if there is. */
export function notify(sentence, { undo = null, isTrouble = false } = {}) {
  const line = el("div", { class: isTrouble ? "toast trouble-toast" : "toast" }, el("span", {}, sentence));
  const away = setTimeout(() => line.remove(), NOTICE_MS);
  const close = () => (clearTimeout(away), line.remove());
  if (undo) line.append(button("Undo", () => (close(), undo()), { class: "quiet" }));
  line.append(button("×", close, { class: "quiet", "aria-label": "Close this notice" }));
  document.getElementById("toasts").replaceChildren(line);
}

/** Does something at the scorer; what it refuses becomes a notice. Resolves with the answer, or null. */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    complain(error);
    return null;
  }
}

/** What the scorer refused, as a notice; a defect of the page goes where the browser tells defects. */
export function complain(error) {
  if (error.name === "AbortError") return; // the view was left
  if (error.status === undefined) throw error;
  notify(error.message, { isTrouble: true });
}
