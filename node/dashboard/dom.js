// Building pages. Text becomes text and nothing else: there is no way from here to markup.

// What could turn a line around or hide in it is shown as a dot.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;
export const clean = (text) => String(text ?? "").replace(unsafe, "\u00b7");

// h("a.link", {href: "#/"}, "text", child, ...), or without properties; null and false are left out.
export function h(name, ...children) {
  const properties = children[0]?.constructor === Object ? children.shift() : {};
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value === true ? "" : clean(value));
  }
  add(element, children);
  return element;
}
function add(element, children) {
  for (const child of children.flat(9)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : clean(child));
  }
}
// Who was on something that is made anew is on the same thing again.
export function fill(element, ...children) {
  const on = element.contains(document.activeElement) && document.activeElement;
  element.replaceChildren();
  add(element, children);
  if (on && on !== element)
    (on.isConnected ? on : [...element.querySelectorAll(on.tagName)].find((e) => e.textContent === on.textContent))
      ?.focus({preventScroll: true});
  return element;
}
export const $ = (id) => document.getElementById(id);

// Said to those who cannot see the change.
export function say(text) {
  $("said").textContent = "";
  setTimeout(() => { $("said").textContent = clean(text); }, 50);
}

// ---- values ------------------------------------------------------------------------------------

const grouped = new Intl.NumberFormat("en");
// null: nobody looked.
export const number = (n) => n === null ? "-" : grouped.format(n ?? 0);
export const plural = (n, one, many = one + "s") => `${number(n)} ${n === 1 ? one : many}`;
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  for (; n >= 1000 && unit < 3; unit++) n /= 1000;
  return `${n < 10 && unit ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}
export function span(seconds, short) {
  if (seconds === null) return "-";
  const s = Math.max(0, Math.round(seconds));
  const [n, unit, word] = s < 60 ? [s, "s", "second"] : s < 5400 ? [s / 60, "min", "minute"]
    : s < 129600 ? [s / 3600, "h", "hour"] : [s / 86400, "", "day"];
  return short && unit ? `${Math.round(n)} ${unit}` : plural(Math.round(n), word);
}

// The node's clock, not this machine's: both may be wrong, and only one of them wrote the times.
let offset = 0;
export const now = () => Date.now() + offset;
export function setClock(serverMs) {
  const seen = serverMs - Date.now();
  offset = Math.abs(seen) < 2000 ? 0 : seen;
  tick();
  return offset;
}
const two = (n) => String(n).padStart(2, "0");
export function clock(ms, withDay = true) {
  const d = new Date(ms);
  const day = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} `;
  return (withDay ? day : "") + `${two(d.getHours())}:${two(d.getMinutes())}`;
}
export function ago(ms) {
  const s = (now() - ms) / 1000;
  return s < -5 ? `in ${span(-s, true)}` : s < 5 ? "just now" : `${span(s, true)} ago`;
}
// A time that stays right while the page is open.
export function time(text, exact) {
  const ms = Date.parse(text ?? "");
  if (Number.isNaN(ms)) return h("span.muted", "never");
  return h("time", {datetime: text, title: clean(text), "data-ago": exact ? null : ms}, exact ? clock(ms) : ago(ms));
}
function tick() {
  for (const element of document.querySelectorAll("time[data-ago]"))
    element.textContent = ago(Number(element.dataset.ago));
}
setInterval(tick, 10000);

// ---- pieces ------------------------------------------------------------------------------------

const tones = {
  refuse: "bad", untrusted: "bad", "one-strike": "warn", reported: "warn", allow: "good", sent: "good",
  preview: "warn", on: "bad", over: "good",
};
export const chip = (word, tone) => h(`span.chip${tone ?? tones[word] ? "." + (tone ?? tones[word]) : ""}`, word);
export const verdict = (word) => chip(word === "unknown" ? "no verdict" : word);
// A host that only watches refuses nobody.
const actions = {allow: "as any other", "one-strike": "one guess left", refuse: "refused"};
export const action = (word, watching) =>
  chip(watching && word !== "allow" ? `would be ${actions[word]}`.replace("be one", "have one") : actions[word] ?? word, tones[word]);
export const link = (subject) =>
  h("a.mono", {href: `#/address/${encodeURIComponent(subject)}`}, subject);
export const card = (title, ...children) => h("section.card", title && h("h2", title), children);
export const pairs = (...list) =>
  h("dl", list.filter(Boolean).map(([name, value]) => [h("dt", name), h("dd", value)]));

// columns: [heading, cell(row), class]; the caption is for screen readers.
export function table(caption, columns, rows, empty) {
  if (!rows.length) return h("p.muted", empty);
  const style = (c) => (c[2] ? "." + c[2] : "");
  return h("div.scroll", {tabIndex: 0, role: "region", "aria-label": caption},
    h("table", {"aria-label": caption},
      h("thead", h("tr", columns.map((c) => h("th" + style(c), {scope: "col"}, c[0])))),
      h("tbody", rows.map((row) => h("tr", columns.map((c) => h("td" + style(c), c[1](row))))))));
}

// Asks before something is done; resolves to true or false.
export function confirm(title, text, yes) {
  return new Promise((resolve) => {
    const dialog = h("dialog", {"aria-labelledby": "ask", onclose() {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    }}, h("h2", {id: "ask"}, title), h("p", text),
    h("form.line", {method: "dialog"}, h("button.main", {value: "yes"}, yes), h("button", {value: "no"}, "Cancel")));
    document.body.append(dialog);
    dialog.showModal();
  });
}
