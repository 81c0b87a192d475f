// Numbers, chances and times as an engineer reads them; times are the browser's, their titles UTC.

import { el } from "./dom.js";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [Infinity, 86400, "d"],
];

export const count = (number) => WHOLE.format(number);
export const rate = (number) => (number >= 100 ? WHOLE : TENTHS).format(number);
export const score = (number) => number.toFixed(2);
export const percent = (share) => `${TENTHS.format(100 * share)} %`;
export const clock = (at) => MINUTE.format(new Date(at));
export const day = (at) => DAY.format(new Date(at));

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** What a p-value means to somebody who has never heard of one. */
export function chance(pValue) {
  return pValue > 0 ? `1 in ${count(1 / pValue)} ordinary lines` : "never among ordinary lines";
}

export function ago(at, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(at)) / 1000);
  const [, unit, name] = STEPS.find(([below]) => seconds < below);
  return `${Math.floor(seconds / unit)} ${name} ago`;
}

/** A moment: the clock when it was today, the day too when it was not. */
export function moment(at) {
  if (!at) return el("span", { class: "muted" }, "–");
  const when = new Date(at);
  const isToday = when.toDateString() === new Date().toDateString();
  const text = isToday ? CLOCK.format(when) : `${DAY.format(when)} ${MINUTE.format(when)}`;
  return el("time", { datetime: at, title: `${at} (${ago(at)})` }, text);
}
