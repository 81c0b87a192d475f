// Work that repeats while a view is open and its tab is seen, and what the page says of the connection.

import { ApiError } from "./api.js";

const LONGEST_MS = 10_000;
const down = new Map();
let unauthorised = () => {};

export function onUnauthorised(ask) {
  unauthorised = ask;
}

/** Runs `task` now and every `everyMs` until `signal` is aborted; a failure is told, waited for and tried again.
 *  Calling what it returns runs the task once more without waiting. */
export function repeat(task, { everyMs, signal, onGone = null }) {
  const bell = { rung: false, ring: () => (bell.rung = true) };
  run(task, { everyMs, signal, onGone, bell });
  return () => bell.ring();
}

async function run(task, { everyMs, signal, onGone, bell }) {
  let failures = 0;
  while (!signal.aborted) {
    bell.rung = false;
    try {
      await task();
      failures = 0;
      told(task, null);
    } catch (error) {
      if (signal.aborted) break;
      if (isFinal(error, onGone)) return told(task, null);
      failures += 1;
      told(task, error);
    }
    await pause(failures ? Math.min(LONGEST_MS, 1000 * 2 ** (failures - 1)) : everyMs, signal, bell);
  }
  told(task, null);
}

function isFinal(error, onGone) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) unauthorised(error);
  else if (error.status === 404 && onGone) onGone(error);
  return error.status === 401 || (error.status === 404 && Boolean(onGone));
}

/** Waits, and then until the tab is seen again. */
async function pause(ms, signal, bell) {
  if (!bell.rung) await heard(signal, (go) => waiting(ms, go, bell));
  if (!document.hidden) return;
  say("paused", "paused while this tab is hidden");
  await heard(signal, (go) => listening(document, "visibilitychange", go));
}

function waiting(ms, go, bell) {
  const timer = setTimeout(go, ms);
  const { ring } = bell;
  bell.ring = go;
  return () => {
    clearTimeout(timer);
    bell.ring = ring;
  };
}

function heard(signal, start) {
  return new Promise((resolve) => {
    const stop = start(done);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}

function listening(target, name, listener) {
  target.addEventListener(name, listener);
  return () => target.removeEventListener(name, listener);
}

function told(task, error) {
  if (error) down.set(task, error);
  else down.delete(task);
  const [first] = down.values();
  trouble(first?.message ?? null);
  if (first) say("down", first.status === 0 ? "no answer" : "trouble");
  else say("live", "live");
}

function say(state, words) {
  const line = document.getElementById("connection");
  if (line.dataset.state === state && line.textContent === words) return;
  line.dataset.state = state;
  line.textContent = words;
}

/** The sentence above the view, or none. */
export function trouble(sentence) {
  const line = document.getElementById("trouble");
  if (line.textContent === (sentence ?? "")) return;
  line.textContent = sentence ?? "";
  line.hidden = sentence === null;
}

export function signedOut() {
  down.clear();
  trouble(null);
  say("signed-out", "signed out");
}
