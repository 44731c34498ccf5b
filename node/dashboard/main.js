// The frame round the pages: who may look, which page, light or dark.
import { $, fill, h, say, span } from "./dom.js";
import { get, hasToken, listeners, setToken } from "./api.js";
import { overview } from "./overview.js";
import { telemetry } from "./telemetry.js";
import { address } from "./address.js";
import { flow } from "./flow.js";
import { alerts, peers, settings } from "./pages.js";

const pages = [
  ["", "Overview", overview], ["telemetry", "Telemetry", telemetry], ["address", "Address", address],
  ["peers", "Peers", peers], ["flow", "Mail flow", flow], ["alerts", "Alerts", alerts],
  ["settings", "Settings", settings],
];
const main = $("main"), nav = $("nav"), menu = $("menu"), trouble = $("trouble");
let leaving = new AbortController();

fill(nav, pages.map(([path, name]) => h("a", {href: `#/${path}`}, name)));

function open() {
  const [path, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const found = pages.find((page) => page[0] === path) ?? pages[0];
  leaving.abort();
  leaving = new AbortController();
  for (const [i, a] of [...nav.children].entries())
    if (pages[i] === found) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  nav.classList.remove("open");
  menu.setAttribute("aria-expanded", "false");
  nav.hidden = menu.hidden = $("leave").hidden = !hasToken();
  if (!hasToken()) return login();
  document.title = `${found[1]} · grapevine`;
  let argument = rest.join("/");
  try { argument = decodeURIComponent(argument); } catch { /* as it is, then */ }
  found[2](fill(main), {signal: leaving.signal, argument, title});
}

// The heading of a page; it takes the focus, so that a screen reader says where one is.
let first = true;
function title(text, ...below) {
  const heading = h("h1", {tabindex: "-1"}, text);
  fill(main, heading, below);
  if (!first) heading.focus();
  first = false;
  return heading;
}

function login(why) {
  document.title = "Sign in · grapevine";
  nav.hidden = menu.hidden = $("leave").hidden = true;
  const input = h("input", {
    type: "password", id: "token", required: true, autocomplete: "current-password", spellcheck: "false",
    "aria-describedby": "token-help token-error", maxlength: "200",
  });
  const error = h("p.error", {id: "token-error", role: "alert"}, why ?? "");
  const form = h("form.card.login", {
    async onsubmit(event) {
      event.preventDefault();
      const text = input.value.trim();
      if (!/^[0-9a-fA-F]{64}$/.test(text)) {
        error.textContent = "A token has 64 digits, 0 to 9 and a to f.";
        return input.focus();
      }
      setToken(text.toLowerCase());
      try {
        await get("changes");
        say("Signed in.");
        open();
      } catch (failed) {
        if (failed.status !== 401) error.textContent = `The node does not answer: ${failed.message}`;
      }
    },
  },
    h("h1", "Sign in to this node"),
    h("p.muted", {id: "token-help"}, "Run ", h("code", "grapevine token"), " on this host and paste what it prints. ",
      "It stays in this tab and is forgotten when the tab is closed."),
    h("label", {for: "token"}, "Token"), input, h("button.main", {type: "submit"}, "Sign in"), error);
  fill(main, form);
  input.focus();
}

listeners.denied = () => {
  const had = hasToken();
  setToken(null);
  leaving.abort();
  if (had) login("This token is not valid, or not any more: `grapevine token` prints the one that is.");
};
let lostAt = 0;
listeners.lost = () => {
  lostAt ||= Date.now();
  trouble.hidden = false;
  trouble.textContent = "The node does not answer. What is shown may be old; it is asked again.";
};
listeners.clock = (offset) => {
  const far = Math.abs(offset) > 90000;
  if (lostAt) return;
  trouble.hidden = !far;
  if (far) trouble.textContent = `The clocks of the node and of this machine are ${span(Math.abs(offset) / 1000)} apart. Times here are the node's.`;
};
listeners.found = () => {
  if (lostAt) { lostAt = 0; trouble.hidden = true; }
};

// ---- light and dark ----------------------------------------------------------------------------

const themes = ["auto", "light", "dark"];
let theme = themes.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto";
function paint() {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").setAttribute("aria-label", `Theme: ${theme}`);
  $("theme").title = `Theme: ${theme}`;
  document.dispatchEvent(new Event("theme"));
}
$("theme").addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  localStorage.setItem("theme", theme);
  paint();
  say(`Theme: ${theme}`);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

menu.addEventListener("click", () => {
  menu.setAttribute("aria-expanded", String(nav.classList.toggle("open")));
});
$("leave").addEventListener("click", () => {
  setToken(null);
  leaving.abort();
  login();
  say("Signed out.");
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", open);
paint();
open();
