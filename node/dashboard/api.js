// Asking the node. The token is sent with each request and never by the browser on its own, so no page
// of another site can use it; it lies in sessionStorage, which this port of this host shares with nobody
// and which ends with the tab. A cookie would go to every program on every port of this host.
import { setClock } from "./dom.js";

const KEY = "grapevine-token";
let token = sessionStorage.getItem(KEY);
export const hasToken = () => Boolean(token);
export function setToken(text) {
  token = text;
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

export class Refused extends Error {
  constructor(status, word, message, retry) {
    super(message);
    Object.assign(this, {status, word, retry});
  }
}

// Who wants to know: when the token is not taken, when the node cannot be reached, and when it can.
export const listeners = {denied() {}, lost() {}, found() {}, clock() {}};

async function ask(method, path, {query, body, signal, wait = 20} = {}) {
  const url = new URL("../api/v1/" + path, document.baseURI);
  for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value);
  const headers = {Authorization: `Bearer ${token}`};
  if (body) headers["Content-Type"] = "application/json";
  const signals = [AbortSignal.timeout(wait * 1000), signal].filter(Boolean);
  let answer, json;
  try {
    answer = await fetch(url, {
      method, headers, body: body && JSON.stringify(body), signal: AbortSignal.any(signals),
      credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
    });
    const date = Date.parse(answer.headers.get("Date") ?? "");
    if (!Number.isNaN(date)) listeners.clock(setClock(date + 500));
    json = await answer.json().catch(() => null);
  } catch (error) {
    if (!signal?.aborted) listeners.lost();
    throw error;
  }
  listeners.found();
  if (answer.ok && json !== null) return json;
  const refused = new Refused(answer.status, json?.error ?? "", json?.message ?? `the node answered ${answer.status}`,
    Number(answer.headers.get("Retry-After")) || 0);
  if (answer.status === 401) listeners.denied(refused);
  throw refused;
}
export const get = (path, options) => ask("GET", path, options);
export const post = (path, body) => ask("POST", path, {body});

// ---- again and again ---------------------------------------------------------------------------

const pause = (seconds, signal) => new Promise((resolve) => {
  const timer = setTimeout(done, seconds * 1000);
  function done() { clearTimeout(timer); signal.removeEventListener("abort", done); resolve(); }
  signal.addEventListener("abort", done);
});
// A page that nobody looks at asks for nothing.
const looked = (signal) => new Promise((resolve) => {
  const look = () => {
    if (document.hidden && !signal.aborted) return;
    document.removeEventListener("visibilitychange", look);
    resolve();
  };
  document.addEventListener("visibilitychange", look);
  signal.addEventListener("abort", look);
  look();
});

// Calls work() now and every so many seconds until the page is left. An error is shown by `failed`, and
// asked again later and later, at most a minute apart.
export async function every(seconds, signal, work, failed) {
  let errors = 0;
  for (;;) {
    await looked(signal);
    if (signal.aborted) return;
    try {
      await work();
      errors = 0;
    } catch (error) {
      if (signal.aborted || error.status === 401) return;
      errors++;
      failed?.(error);
    }
    const longer = errors ? Math.min(60, seconds * 2 ** Math.min(errors, 5)) : seconds;
    await pause(longer, signal);
  }
}

// Verdict changes as they come: the latest `before` of them at first, then a long poll after the other.
export async function follow(signal, before, changed, trouble) {
  let serial = null, errors = 0;
  for (;;) {
    await looked(signal);
    if (signal.aborted) return;
    try {
      if (serial === null) {
        const first = await get("changes", {signal});
        const [run, count] = first.serial.split("-");
        serial = `${run}-${Math.max(0, Number(count) - before)}`;
        if (serial === first.serial) changed([]); // there was none yet: the next answer may take a minute
      }
      const news = await get("changes", {signal, query: {since: serial, wait: 50}, wait: 70});
      serial = news.serial;
      errors = 0;
      trouble(null);
      changed(news.changes, news.reset);
    } catch (error) {
      if (signal.aborted || error.status === 401) return;
      trouble(error);
      const longer = error.word === "busy" ? 20 + Math.random() * 20 : Math.min(30, 2 ** Math.min(errors++, 5));
      await pause(Math.max(longer, error.retry ?? 0), signal);
    }
  }
}
