// All that is known of one address, why it is treated so, and what the admin can do about it.
import { action, card, chip, clean, confirm, fill, h, link, number, pairs, plural, say, table, time, verdict } from "./dom.js";
import { get, post } from "./api.js";
import { entries, names } from "./telemetry.js";

function timeline(ip, said) {
  const events = [];
  const at = (when, ...text) => when && events.push([Date.parse(when), when, text]);
  const l = ip.local;
  at(l.first_failure, "First failed login here");
  if (l.last_failure !== l.first_failure) at(l.last_failure, "Last failed login here");
  at(l.last_success, "Somebody logged in from here");
  at(l.signalled, "This node signalled it");
  at(l.locked_until, "The lock here ends");
  for (const r of ip.reporters) at(r.time, "Reported by owner ", h("span.mono", r.owner.slice(0, 12)), ` in ${r.group}`);
  if (ip.verdict !== "unknown") at(ip.since, "The mesh's verdict: ", verdict(ip.verdict));
  if (ip.verdict !== "unknown") at(ip.until, "The verdict ends, if nothing new comes");
  for (const e of said) at(e.sent, `Acknowledged by ${plural(e.acknowledged_count, "peer")}: own ${e.statement?.kind ?? "statement"}`);
  for (const e of ip.earlier ?? []) if (e) at(e.left, `A ${e.kind} from before ceased to count`);
  events.sort((a, b) => b[0] - a[0]);
  return events.length ? h("ol.timeline", events.slice(0, 60).map(([, when, text]) => h("li", time(when), " ", text)))
    : h("p.muted", "Nothing has happened.");
}

function show(out, ip, said, known, listed, watching, doing) {
  const l = ip.local, own = listed.allow.includes(ip.subject) || listed.deny.includes(ip.subject);
  const button = (text, run, off) => h("button", {onclick: run, disabled: Boolean(off), type: "button"}, text);
  const mine = said.telemetry.some((e) => e.statement?.kind === "signal");
  fill(out,
    h("section.card.state" + (ip.action === "refuse" ? ".bad" : ip.action === "allow" ? "" : ".warn"),
      h("div", h("h2.mono", ip.subject), h("p.line", verdict(ip.verdict), action(ip.action, watching),
        ip.allow_listed && chip("on the allow list", "good"), ip.deny_listed && chip("on the deny list", "bad"),
        l.clean && chip("users log in from here", "good")),
        h("p", h("b", "Why: "), ip.why))),
    h("section.card.grid", {"aria-label": "What to do"}, h("div.line",
      button("Allow", () => doing("allow", `Allow ${ip.subject}?`, "It will never be refused here, and nothing is said of it.")),
      button("Deny", () => doing("deny", `Deny ${ip.subject}?`, "It will be refused here, whatever the mesh says.")),
      button("Take off the list", () => doing("unlist", `Take ${ip.subject} off the list?`, "It is judged like any other then."), !own),
      button("Retract", () => doing("retract", `Retract what was said of ${ip.subject}?`, "This node's signals about it are taken back everywhere."), !mine),
      button("Ask the mesh", () => doing("ask")))),
    h("div.grid.two",
      card("Evidence of the mesh", pairs(["Weight", `${number(ip.weight)} of ${number(ip.needed)} needed`],
        ["Reporters", `${plural(ip.owners, "owner")} in ${plural(ip.groups, "network")}`], ["Since", time(ip.since, true)], ["Until", time(ip.until, true)]),
        table("Reporters", [["Owner", (r) => h("span.mono", {title: r.owner}, r.owner.slice(0, 12))], ["Network", (r) => r.group],
          ["Standing", (r) => number(r.standing), "number"], ["When", (r) => time(r.time)]], ip.reporters, "Nobody has reported it.")),
      card("What this host saw", pairs(["Failed attempts today", number(l.failures)], ["Visits this week", number(l.visits)],
        ["Points against it", number(l.points)], ["First failure", time(l.first_failure)], ["Last failure", time(l.last_failure)],
        ["Last login", time(l.last_success)], ["Locked until", time(l.locked_until, true)],
        ["Shared with the mesh", ip.shareable ? "may be" : "never: not a public address"],
        ip.own_lock && ["Locked by own server", h("span.mono", ip.own_lock.instance)]))),
    h("div.grid.two", card("Timeline", timeline(ip, said.telemetry)),
      card("What this node has said of it", said.telemetry.length ? entries(said.telemetry.reverse(), known, said.kept_s)
        : h("p.muted", "Nothing."))));
}

function lists(out, l) {
  const part = (name, list, from) => [h("h3", name), list.length ? h("ul", list.map((p) => h("li",
    /\/\d+$/.test(p) ? h("span.mono", p) : link(p), h("span.muted", ` ${from}`)))) : h("p.muted", "empty")];
  fill(out, h("h2", "Your lists"), h("div.grid.two",
    h("div", part("Always allowed", l.allow, "by you"), part("… by the configuration, and this host's own", l.configured.allow, "")),
    h("div", part("Always denied", l.deny, "by you"), part("… by the configuration", l.configured.deny, ""))));
}

export function address(main, {signal, argument, title}) {
  const input = h("input", {type: "text", id: "address", required: true, maxlength: "60", placeholder: "192.0.2.1", spellcheck: "false",
    autocomplete: "off", value: argument, "aria-describedby": "wrong"});
  const out = h("div.grid"), listed = h("section.card"), wrong = h("p.error", {id: "wrong", role: "alert"});
  title(argument ? `Address ${clean(argument)}` : "Address",
    h("form.line", {role: "search", onsubmit(event) {
      event.preventDefault();
      location.hash = `#/address/${encodeURIComponent(input.value.trim())}`;
    }}, h("label", {for: "address"}, "Look up"), input, h("button.main", {type: "submit"}, "Show")), wrong, out,
    h("div.grid", listed));

  async function doing(what, question, text) {
    if (question && !(await confirm(question, text, {allow: "Allow", deny: "Deny", unlist: "Take off", retract: "Retract"}[what]))) return;
    try {
      say((await post(what, {addr: argument})).message);
      wrong.textContent = "";
      await refresh();
    } catch (error) {
      wrong.textContent = error.message;
    }
  }
  async function refresh() {
    const l = await get("lists", {signal});
    lists(listed, l);
    if (!argument) return;
    const query = {addr: argument};
    const [ip, said, known, s] = await Promise.all([
      get("ip", {signal, query}), get("telemetry", {signal, query}), names(signal), get("status", {signal})]);
    show(out, ip, said, known, l, !s.enforcement.enforced.length, doing);
  }
  refresh().catch((error) => { if (!signal.aborted) wrong.textContent = error.message; });
}
