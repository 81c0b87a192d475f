// Scores over time, drawn by hand: the top score of each step as a bar, alarms as marks above, lines as a strip below.

import { get } from "./api.js";
import { button, el, panel, svg } from "./dom.js";
import { clock, count, day, plural, score } from "./format.js";
import { repeat } from "./live.js";

const EVERY_MS = 15_000;
const SPANS = [
  ["Hour", 1],
  ["Day", 24],
  ["Week", 168],
];
const WIDTH = 960;
const TOP = 14; // where a score of 1 is
const FLOOR = 126; // where a score of 0 is
const STRIP = 152; // the floor of the strip of lines
const HEIGHT = 172;
const ALARM_SCORE = 0.5;
const chosen = { hours: 24 };

/** The panel; `choose(from, to)` is called with a step's times when somebody asks for its alarms. */
export function timeline(source, { signal, choose }) {
  const body = panel("Scores", "timeline");
  const state = { source, signal, choose, body, shown: null, place: null, data: null };
  const load = async () => {
    const data = await get("/v1/timeline", { source, hours: chosen.hours }, signal);
    if (JSON.stringify(data) !== JSON.stringify(state.data)) draw(state, data);
  };
  const spans = SPANS.map(([name, hours]) =>
    button(name, () => span(state, hours), { "data-hours": hours, "aria-pressed": String(hours === chosen.hours) }),
  );
  body.append(el("div", { class: "spans", role: "group", "aria-label": "How far back" }, spans));
  state.chart = body.appendChild(el("div", { class: "chart" }));
  state.refresh = repeat(load, { everyMs: EVERY_MS, signal });
  return { body, refresh: state.refresh };
}

function span(state, hours) {
  chosen.hours = hours;
  state.place = null;
  for (const one of state.body.querySelectorAll("[data-hours]"))
    one.setAttribute("aria-pressed", String(Number(one.dataset.hours) === hours));
  state.refresh();
}

function draw(state, data) {
  const hadFocus = state.chart.contains(document.activeElement) && document.activeElement.matches("[role=slider]");
  const wasOpen = state.chart.querySelector("details")?.open ?? false;
  const follows = state.place === null || state.place >= (state.data?.buckets.length ?? 0) - 1;
  state.data = data;
  if (!data.buckets.length)
    return state.chart.replaceChildren(el("p", { class: "muted" }, "No line was scored in this time."));
  if (follows) state.place = data.buckets.length - 1;
  const scale = scaled(data);
  state.slider = slider(state, scale);
  state.said = el("p", { class: "bucket-said" });
  state.chart.replaceChildren(state.slider, state.said, table(data.buckets, wasOpen));
  move(state, state.place);
  if (hadFocus) state.slider.focus({ preventScroll: true });
}

/** Where each step lies: time to the right, scores up. */
function scaled({ buckets, step_s }) {
  const step = step_s * 1000;
  const end = Math.max(Date.now(), time(buckets.at(-1)) + step);
  const start = end - chosen.hours * 3_600_000;
  const x = (moment) => (WIDTH * (moment - start)) / (end - start);
  return {
    start,
    end,
    step,
    x,
    y: (value) => FLOOR - (FLOOR - TOP) * value,
    wide: Math.max(1.5, (WIDTH * step) / (end - start) - 1),
  };
}

const time = (bucket) => new Date(bucket.at).getTime();

function slider(state, scale) {
  const { buckets } = state.data;
  const range = { "aria-valuemin": 0, "aria-valuemax": buckets.length - 1 };
  const name = el("span", { class: "level-name", "aria-hidden": "true" }, "alarm level");
  const parts = [drawing(buckets, scale), name, marks(buckets, scale), axis(scale)];
  const control = el(
    "div",
    { class: "slider", role: "slider", tabindex: 0, "aria-label": "Scores over time", ...range },
    parts,
  );
  control.addEventListener("keydown", (event) => keyed(event, state));
  control.addEventListener("pointermove", (event) => move(state, nearest(event, control, state, scale)));
  control.addEventListener("click", () => chooseAt(state));
  state.scale = scale;
  return control;
}

function drawing(buckets, scale) {
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  const cursor = svg("rect", { class: "cursor", y: 0, height: STRIP, width: scale.wide + 1 });
  return svg("svg", box, lines(buckets, scale), level(scale), bars(buckets, scale), cursor);
}

const bars = (buckets, { x, y, wide }) =>
  buckets.map((bucket) => {
    const kind = bucket.alarms ? "bar alarm-bar" : bucket.top_score >= ALARM_SCORE ? "bar odd-bar" : "bar";
    const height = Math.max(1, FLOOR - y(bucket.top_score ?? 0));
    return svg("rect", { class: kind, x: x(time(bucket)), y: FLOOR - height, width: wide, height });
  });

function lines(buckets, { x, wide }) {
  const most = Math.max(1, ...buckets.map((bucket) => bucket.lines));
  return buckets.map((bucket) => {
    const height = (18 * bucket.lines) / most;
    return svg("rect", { class: "volume", x: x(time(bucket)), y: STRIP - height, width: wide, height });
  });
}

const level = ({ y }) => svg("line", { class: "level", x1: 0, x2: WIDTH, y1: y(ALARM_SCORE), y2: y(ALARM_SCORE) });

/** Alarms as marks that keep their shape when the drawing is stretched. */
function marks(buckets, { x, wide }) {
  const place = (bucket) => `${(100 * (x(time(bucket)) + wide / 2)) / WIDTH}%`;
  const alarming = buckets.filter((bucket) => bucket.alarms > 0);
  return el(
    "div",
    { class: "marks", "aria-hidden": "true" },
    alarming.map((bucket) => el("span", { class: "alarm-mark", vars: { left: place(bucket) } })),
  );
}

function axis({ start, end }) {
  const words = (moment) => (chosen.hours > 24 ? day(moment) : clock(moment));
  const ticks = [0, 0.25, 0.5, 0.75].map((part) => el("span", {}, words(start + part * (end - start))));
  return el("div", { class: "axis", "aria-hidden": "true" }, ticks, el("span", {}, "now"));
}

function nearest(event, control, { data }, scale) {
  const box = control.getBoundingClientRect();
  const moment = scale.start + ((event.clientX - box.left) / box.width) * (scale.end - scale.start) - scale.step / 2;
  const away = data.buckets.map((bucket) => Math.abs(time(bucket) - moment));
  return away.indexOf(Math.min(...away));
}

function move(state, place) {
  const last = state.data.buckets.length - 1;
  state.place = Math.max(0, Math.min(last, place));
  const bucket = state.data.buckets[state.place];
  const words = sentence(bucket, state.data.step_s);
  state.slider.setAttribute("aria-valuenow", state.place);
  state.slider.setAttribute("aria-valuetext", words);
  state.slider.querySelector(".cursor").setAttribute("x", state.scale.x(time(bucket)) - 0.5);
  state.said.textContent = words;
}

function sentence(bucket, step_s) {
  const until = clock(time(bucket) + 1000 * step_s);
  const when = `${chosen.hours > 24 ? `${day(bucket.at)} ` : ""}${clock(bucket.at)}–${until}`;
  const unseen = bucket.unseen ? `, ${count(bucket.unseen)} of templates never seen before` : "";
  const alarms = bucket.alarms ? `, ${plural(bucket.alarms, "alarm")}` : "";
  return `${when}: ${plural(bucket.lines, "line")}, top score ${score(bucket.top_score ?? 0)}${alarms}${unseen}`;
}

function keyed(event, state) {
  const last = state.data.buckets.length - 1;
  const steps = {
    ArrowLeft: state.place - 1,
    ArrowRight: state.place + 1,
    PageUp: state.place - 12,
    PageDown: state.place + 12,
    Home: 0,
    End: last,
  };
  if (event.key in steps) move(state, steps[event.key]);
  else if (event.key === "Enter") chooseAt(state);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function chooseAt({ data, place, choose }) {
  const from = time(data.buckets[place]);
  if (data.buckets[place].alarms) choose(from, from + 1000 * data.step_s);
}

/** The same as text: the steps in which something was odd. */
function table(buckets, isOpen) {
  const odd = buckets.filter((bucket) => bucket.anomalous || bucket.alarms || bucket.unseen).reverse();
  const rows = odd.map((bucket) => [
    `${day(bucket.at)} ${clock(bucket.at)}`,
    count(bucket.lines),
    score(bucket.top_score ?? 0),
    count(bucket.anomalous),
    count(bucket.alarms),
    count(bucket.unseen),
  ]);
  const head = ["From", "Lines", "Top score", "Anomalous lines", "Alarms", "Unseen templates"].map((title) =>
    el("th", { scope: "col" }, title),
  );
  const body = rows.map((cells) =>
    el(
      "tr",
      {},
      cells.map((cell) => el("td", {}, cell)),
    ),
  );
  const content = rows.length
    ? el(
        "div",
        { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Steps with something odd" },
        el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)),
      )
    : el("p", { class: "muted" }, "Nothing odd in this time.");
  return el("details", { class: "as-table", open: isOpen }, el("summary", {}, "As a table"), content);
}
