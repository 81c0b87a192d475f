// The token: asked for when the scorer wants one, kept until the tab is closed or somebody signs out.

import { el } from "./dom.js";
import { bindKeys } from "./keys.js";
import { signedOut } from "./live.js";
import { forgetToken, keepToken, token } from "./session.js";

/** The page becomes the question for the token; `enter` runs once one is given. */
export function askToken(root, enter) {
  const refused = token() !== null;
  forgetToken();
  showSignOut();
  signedOut();
  bindKeys({});
  const input = el("input", {
    id: "token",
    type: "password",
    required: true,
    autocomplete: "current-password",
    spellcheck: "false",
  });
  root.replaceChildren(form(input, refused, () => admit(input.value.trim(), enter)));
  input.focus();
}

function form(input, refused, submit) {
  const says = refused ? "The scorer refused that token; it may have been replaced." : "This scorer asks for a token.";
  const fields = [
    el("h1", {}, "Sign in"),
    el("p", { id: "token-says", role: refused ? "alert" : null }, says),
    el("label", { for: "token" }, "Token"),
    input,
    el("button", { type: "submit", class: "main" }, "Sign in"),
    el("p", { class: "muted" }, "One of those in the file given by --token-file. It is kept until this tab is closed."),
  ];
  return el("form", { class: "login panel", on: { submit: (event) => (event.preventDefault(), submit()) } }, fields);
}

function admit(given, enter) {
  keepToken(given);
  showSignOut();
  enter();
}

export function showSignOut() {
  document.getElementById("sign-out").hidden = token() === null;
}
