// The page: which view the address asks for, and what stays when views change.

import { openAlarm } from "./alarm.js";
import { openAlarms } from "./alarms.js";
import { askOperator, help, showOperator } from "./dialogs.js";
import { el } from "./dom.js";
import { bindKeys, startKeys } from "./keys.js";
import { onUnauthorised } from "./live.js";
import { askToken, showSignOut } from "./login.js";
import { forgetToken } from "./session.js";
import { openSource } from "./source.js";
import { openSources } from "./sources.js";

const root = document.getElementById("page");
let leaving = new AbortController();
let opened = null; // address of the view that is open
let depth = history.state?.depth ?? 0; // how many views of the page lie behind this one: Escape goes back among them

const VIEWS = [
  [/^#\/source\/([^/]+)$/, openSource],
  [/^#\/alarms$/, openAlarms],
  [/^#\/alarm\/([^/]+)$/, openAlarm],
  [/^#?\/?$/, openSources],
];

function show() {
  leaving.abort();
  leaving = new AbortController();
  bindKeys({});
  const came = opened;
  opened = location.hash;
  root.replaceChildren();
  scrollTo(0, 0);
  document.title = "logmeta";
  view()({ root, signal: leaving.signal, arrive: arrival(came, leaving.signal) });
}

function view() {
  for (const [address, open] of VIEWS) {
    const found = address.exec(location.hash);
    if (found) return (page) => open({ ...page, name: found[1] && decoded(found[1]) });
  }
  return missing;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function missing() {
  root.append(
    el("h1", {}, "No such view"),
    el("p", {}, "This address leads nowhere. ", el("a", { href: "#/" }, "All sources")),
  );
}

/** Puts the focus where a reader goes on: on the item he came back from, else on the heading. Two parts of a view may
 *  bring that item, so it is looked for twice; whoever has moved on by then is left alone. */
function arrival(came, signal) {
  let tries = came === null || came === opened ? 0 : 2;
  let place = document.body;
  return () => {
    if (tries === 0 || signal.aborted || document.activeElement !== place) return;
    tries -= 1;
    const item = root.querySelector(`a.item[href="${CSS.escape(came)}"]`);
    if (item) tries = 0;
    place = item ?? root.querySelector("h1") ?? place;
    place.focus({ preventScroll: true });
    item?.scrollIntoView({ block: "nearest" });
  };
}

function back() {
  if (depth > 0) history.back();
  else if (location.hash.length > 2) location.hash = root.querySelector("[data-up]")?.getAttribute("href") ?? "#/";
}

function moved() {
  depth = history.state?.depth ?? depth + 1; // a view that was open before knows its place
  history.replaceState({ depth }, "");
  show();
}

function signOut() {
  forgetToken();
  leaving.abort();
  askToken(root, show);
}

addEventListener("hashchange", moved);
document.getElementById("help").addEventListener("click", help);
document.getElementById("operator").addEventListener("click", askOperator);
document.getElementById("sign-out").addEventListener("click", signOut);
onUnauthorised(() => {
  if (leaving.signal.aborted) return;
  leaving.abort();
  askToken(root, show);
});
startKeys({ "?": help, Escape: back });
showOperator();
showSignOut();
show();
