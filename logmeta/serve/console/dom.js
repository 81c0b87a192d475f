// Elements from data. Text from logs only ever becomes a text node: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";
const ODD = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const PLACEHOLDER = /(<[A-Z][A-Z0-9_]*>)/;

export function el(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), attributes, children);
}

function dressed(node, { on = {}, vars = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  for (const [name, value] of Object.entries(vars)) node.style.setProperty(name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  node.setAttribute(name, value === true ? "" : String(value));
}

/** Text with control and direction characters spelled out, so that a line cannot disguise itself. */
export function visible(text) {
  return String(text ?? "").replace(ODD, (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A template, its placeholders told apart from its words. */
export function template(text) {
  const parts = visible(text).split(PLACEHOLDER);
  return el(
    "span",
    { class: "template" },
    parts.map((part, i) => (i % 2 ? el("i", {}, part) : part)),
  );
}

/** Makes the children of `parent` those of `items`, keeping every node whose item is unchanged: focus stays where it
 *  is, and what somebody has chosen or points at stays under his eyes, whatever comes in above it. */
export function keyed(parent, items, keyOf, make) {
  const looked = parent.querySelector(":scope > :focus-within, :scope > :hover");
  const top = looked?.getBoundingClientRect().top;
  rekeyed(parent, items, keyOf, make);
  if (looked?.isConnected) scrollBy({ top: looked.getBoundingClientRect().top - top, behavior: "instant" });
}

function rekeyed(parent, items, keyOf, make) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map((item) => keptOrMade(old.get(String(keyOf(item))), item, keyOf, make));
  const wanted = new Set(nodes);
  for (const node of [...parent.children]) if (!wanted.has(node)) node.remove();
  nodes.forEach((node, i) => parent.children[i] !== node && parent.insertBefore(node, parent.children[i] ?? null));
}

const shown = new WeakMap();

function keptOrMade(node, item, keyOf, make) {
  const said = JSON.stringify(item);
  if (node && shown.get(node) === said) return node;
  const made = make(item);
  made.dataset.key = keyOf(item);
  shown.set(made, said);
  if (node) exchange(node, made);
  return made;
}

function exchange(node, made) {
  const place = focusables(node).indexOf(document.activeElement);
  node.replaceWith(made);
  if (place >= 0) (focusables(made)[place] ?? made).focus({ preventScroll: true });
}

const focusables = (node) => [...node.querySelectorAll("a, button, input, [tabindex]")];

export function button(label, press, attributes = {}) {
  return el("button", { type: "button", ...attributes, on: { click: press } }, label);
}

/** A titled part of a view. Its body is filled, and hidden while there is nothing to show. */
export function panel(title, name, ...children) {
  const id = `panel-${name}`;
  return el("section", { class: `panel ${name}`, "aria-labelledby": id }, el("h2", { id }, title), ...children);
}
