// The scorer's HTTP API. Every failure is an ApiError whose message is a sentence for the page.

import { token } from "./session.js";

const ANSWER_MS = 20_000;

export class ApiError extends Error {
  constructor(status, type, reason) {
    super(reason);
    Object.assign(this, { status, type });
  }

  /** Whether the same request may well work in a moment. */
  get passes() {
    return this.status === 0 || this.status >= 500;
  }
}

export const get = (path, query = {}, signal = null) => ask("GET", path + asQuery(query), undefined, signal);
export const post = (path, body) => ask("POST", path, body);
export const patch = (path, body) => ask("PATCH", path, body);
export const detector = (source) => `/v1/detectors/${encodeURIComponent(source)}`;

function asQuery(query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function ask(method, path, body, signal = null) {
  const answer = await sent(method, path, body, signal);
  const said = await answer.json().catch(() => null);
  signal?.throwIfAborted();
  if (answer.ok && said !== null) return said;
  throw refusal(answer.status, said);
}

async function sent(method, path, body, signal) {
  const late = AbortSignal.timeout(ANSWER_MS);
  try {
    return await fetch(path, {
      method,
      headers: headers(body),
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, late]) : late,
      cache: "no-store",
      credentials: "omit",
    });
  } catch {
    signal?.throwIfAborted();
    throw new ApiError(0, "unreachable", "The scorer does not answer. The page tries again by itself.");
  }
}

function headers(body) {
  return {
    ...(token() ? { Authorization: `Bearer ${token()}` } : {}),
    ...(body === undefined ? {} : { "Content-Type": "application/json" }),
  };
}

function refusal(status, said) {
  const { type = "http", reason = `The scorer answered ${status}.` } = said?.error ?? {};
  return new ApiError(status, type, reason);
}
