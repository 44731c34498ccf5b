// Is it working, what was kept out, who attacks now, and what changes.
import { action, card, chip, clean, fill, h, link, number, plural, span, table, time, verdict } from "./dom.js";
import { every, follow, get } from "./api.js";
import { graph, series } from "./flow.js";

// What an admin should know, worst first: [tone, sentence].
function findings(s, alerts) {
  const list = [], bad = (...text) => list.push(["bad", text]), warn = (...text) => list.push(["warn", text]);
  const command = (text) => h("code", text);
  if (!s.store.ok) bad("The store cannot be written: ", clean(s.store.error));
  if (!s.logs.length) bad("No mail log is read: name one with ", command("[log] file"), ".");
  for (const log of s.logs)
    if (log.state !== "reading") bad(`The log ${log.path}: ${log.state}.`);
  if (s.advice) bad(clean(s.advice));
  if (s.transparency.lost) bad("The transparency log lost entries.");
  if (!s.network) warn("This node is in no network yet.");
  else if (s.certificate_state === "none") warn("This node is not enrolled yet: ", command("grapevine enroll"), ".");
  else if (!s.mesh.peers) warn("No peer is connected: what others report does not come.");
  const registry = s.registry, log = s.network && registry.log.trouble;
  if (registry.finding) bad("The registry is not to be trusted: ", clean(registry.finding));
  if (log) warn("The registry's log is not compared: ", clean(log));
  if (registry.trouble) warn("The registry: ", clean(registry.trouble), " The mesh goes on without it.");
  if (Math.abs(s.mesh.clock_offset_ms) > 60000)
    bad(`This host's clock is ${span(Math.abs(s.mesh.clock_offset_ms) / 1000)} off from its peers'.`);
  for (const alert of alerts.filter((a) => a.state === "on")) bad(`${alert.text}.`);
  if (s.share === "preview")
    warn("Nothing is sent yet: sharing is in ", h("a", {href: "#/telemetry"}, "preview"), ".");
  if (!s.enforcement.enforced.length)
    warn("Nothing is refused yet: this host only watches. See below what it would have refused; ",
      command("[policy] enforce"), " switches it on.");
  return list.sort((a, b) => (a[0] === b[0] ? 0 : a[0] === "bad" ? -1 : 1));
}

function state(s, alerts) {
  const list = findings(s, alerts), worst = list[0]?.[0] ?? "good";
  const words = {good: ["✓", "Everything works"], warn: ["✓", "It works; you may want to know"], bad: ["!", "This needs your attention"]};
  const what = s.share === "yes" ? "Signals are shared" : s.share === "no" ? "Sharing is off" : "Sharing is in preview";
  return h(`section.card.state.${worst}`, {"aria-label": "State"},
    h("span.mark", {"aria-hidden": "true"}, words[worst][0]),
    h("div", h("h1", {tabindex: "-1"}, words[worst][1]),
      h("p.muted", `${what}, ${plural(s.mesh.peers, "peer")}, ${plural(s.logs.length, "log")} read, running for ${span(s.uptime_s)}.`),
      list.length > 0 && h("ul", list.map(([tone, text]) => h("li", tone === "bad" && chip("act", "bad"), " ", text)))));
}

const tile = (value, name, below) =>
  h("section.card.tile", {"aria-label": clean(name)}, h("b", number(value)), h("span.name", name), h("p.muted.small", below));

function tiles(s, found) {
  const e = s.enforcement, since = `since the start ${span(s.uptime_s)} ago`;
  const done = (e.dovecot?.refused ?? 0) + (e.dnsbl?.listed ?? 0);
  const would = e.would_have_refused;
  return [
    e.enforced.length
      ? tile(done, "refused here", `logins and look-ups answered with no, by ${e.enforced.join(", ")}, ${since}`)
      : tile(would.failures, "would have been refused", `attempts from ${plural(would.addresses, "address", "addresses")}, ${since}${would.logins ? `; ${plural(would.logins, "good login")} among them!` : ""}`),
    tile(found.addresses, "attacking now", `addresses with a wrong password in the last hour; ${plural(found.attempts, "attempt")} of theirs today`),
    tile(e.refused, "on this host's list", `addresses ${e.enforced.length ? "that are" : "that would be"} refused now`),
    tile(s.mesh.untrusted, "untrusted by the mesh", `and ${number(s.mesh.reported)} reported, of ${plural(s.mesh.subjects, "address", "addresses")} that peers tell of`),
  ];
}

const attackers = (list, watching) => table("Who attacks now", [
  ["Address", (a) => link(a.subject)], ["Failed", (a) => number(a.failures), "number"],
  ["Last", (a) => time(a.last), "less"], ["The mesh", (a) => verdict(a.verdict), "less"],
  ["This host", (a) => action(a.action, watching)],
], list, "Nobody has tried a wrong password in the last hour.");

const words = {refuse: "to be refused", untrusted: "untrusted"};
function change(c, fresh) {
  const chips = (now, then, text, tone) => now.filter((word) => !then.includes(word))
    .map((word) => chip(text + (words[word] ?? word), tone ?? (word === "refuse" ? "bad" : "warn")));
  return h(fresh ? "li.new" : "li", link(c.subject), chips(c.is, c.was, ""), chips(c.was, c.is, "no longer ", "good"), time(c.time));
}

export function overview(main, {signal}) {
  const top = h("div"), counts = h("div.grid.tiles"), who = h("div"), trouble = h("p.muted.small", {role: "status"});
  const feed = h("ul.feed", {tabindex: "0", "aria-live": "polite", "aria-label": "Verdict changes, the newest first"});
  const canvas = h("canvas", {role: "img", "aria-label": "Mail and failed logins of the last two hours; figures are on the page Mail flow"});
  const drawn = ["received", "delivered", "rejected", "login_failures"];
  const keys = h("p.small.line", drawn.map((name) => {
    const key = h("span.key", {"aria-hidden": "true"});
    key.style.backgroundColor = series[name][1];
    return h("span", key, " ", series[name][0]);
  }));
  fill(main, top, counts,
    h("div.grid.wide",
      card(null, h("div.line", h("h2", "Attacking now")), who),
      card("Verdict changes, live", feed, trouble)),
    h("section.card.grid", h("div.line", h("h2", "The last two hours"), h("a", {href: "#/flow"}, "Mail flow")),
      h("div.chart.low", canvas), keys));

  const problem = (error) => { if (!top.firstChild) fill(top, h("p.error", error.message)); };
  let had = false;
  every(10, signal, async () => {
    const [s, found, a] = await Promise.all([get("status", {signal}), get("attackers", {signal}), get("alerts", {signal, query: {limit: 10}})]);
    fill(top, state(s, a.alerts));
    if (!had) top.querySelector("h1").focus({preventScroll: true});
    had = true;
    fill(counts, tiles(s, found));
    fill(who, attackers(found.attackers.slice(0, 12), !s.enforcement.enforced.length),
      found.addresses > 12 && h("p.muted.small", `and ${number(found.addresses - 12)} more`));
    fill(document.getElementById("who"), `grapevine ${s.version}, instance `, h("code", {title: s.instance}, s.instance.slice(0, 12)),
      s.network ? `, network ${s.network.name}. ` : ". ");
    performance.mark("overview");
  }, problem);

  follow(signal, 30, (list, reset) => {
    if (reset || feed.querySelector(".none")) fill(feed);
    const quiet = !feed.children.length;
    for (const c of list) feed.prepend(change(c, !quiet));
    while (feed.children.length > 100) feed.lastChild.remove();
    if (!feed.children.length) fill(feed, h("li.none.muted", "None since the node started."));
  }, (error) => {
    trouble.textContent = !error ? "" : error.word === "busy"
      ? "Too many dashboards are open for live changes here; this one asks again every half minute."
      : `No live changes for now: ${error.message}`;
  });

  graph(canvas, signal).then((show) => every(30, signal, async () => {
    show(await get("stats", {signal, query: {since: "2h", by: "minute"}}), drawn);
  }));
}
