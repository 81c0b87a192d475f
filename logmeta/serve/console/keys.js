// The keyboard: lists are walked by j and k or the arrows, views add keys of their own.

const LISTS = "[data-list]";
const LINKS = "[data-list] a.item";
export const KEYS = [
  ["j k or ↓ ↑", "next, previous in a list"],
  ["Enter", "open"],
  ["Escape", "back"],
  ["/", "to the filter"],
  ["n", "not an anomaly (an alarm that is open or chosen)"],
  ["a", "was an anomaly"],
  ["← →", "through the timeline, Enter goes to its alarms"],
  ["?", "this help"],
];

let bound = {};

/** The keys of the view that opens now; they replace those of the one before. */
export function bindKeys(keys) {
  bound = keys;
}

export function startKeys(always) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (isTyping(event.target)) return event.key === "Escape" && event.target.blur();
    const act = { ...walking, ...always, ...bound }[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });
}

const isTyping = (target) => target.matches("input, textarea, select, [role=slider]");

const walking = {
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => isWalking() && step(1),
  ArrowUp: () => isWalking() && step(-1),
  "/": toFilter,
};

function toFilter() {
  const filter = document.querySelector("[data-filter]");
  filter?.focus();
  return filter !== null;
}

/** Elsewhere the arrows are the browser's: they scroll. */
const isWalking = () => document.activeElement.matches("body, main, h1, a.item");

function step(by) {
  const links = linksNear(document.activeElement);
  const place = links.indexOf(document.activeElement);
  const next = links[place < 0 ? (by > 0 ? 0 : links.length - 1) : place + by];
  if (!next) return links.length > 0;
  next.focus({ preventScroll: true });
  next.closest("[data-key]")?.scrollIntoView({ block: "nearest" });
  return true;
}

function linksNear(element) {
  const list = element.closest(LISTS);
  return [...(list ?? document).querySelectorAll(list ? "a.item" : LINKS)].filter((link) => link.offsetParent !== null);
}

/** The alarm whose link has the focus. */
export const chosenAlarm = () => document.activeElement.closest?.("[data-alarm]")?.dataset.alarm ?? null;
