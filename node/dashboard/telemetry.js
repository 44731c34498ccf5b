// What left this host: the complete contents of every signal, decoded and raw, to whom and when.
import { chip, clock, fill, h, now, number, pairs, plural, span, table, time } from "./dom.js";
import { every, get } from "./api.js";

export const words = {sent: "sent", queued: "waits for a peer", preview: "not sent: preview"};
const kinds = {signal: "Signal about", retract: "Retraction of"};

// Who an instance is, as far as this node knows.
export async function names(signal) {
  const [roster, peers] = await Promise.all([get("roster", {signal}), get("peers", {signal})]);
  const known = new Map(roster.instances.map((i) => [i.instance, i]));
  for (const p of peers.peers) if (p.instance && !known.has(p.instance)) known.set(p.instance, p);
  return known;
}

function receivers(entry, known) {
  if (!entry.acknowledged_count) return h("p.muted", entry.state === "preview" ? "To nobody." : "Nobody has acknowledged it yet.");
  const more = entry.acknowledged_count - entry.acknowledged.length;
  return [table("Who has acknowledged it", [
    ["Instance", (a) => h("span.mono", a.instance)],
    ["Owner", (a) => h("span.mono", known.get(a.instance)?.owner?.slice(0, 12) ?? "not known any more"), "less"],
    ["Address", (a) => known.get(a.instance)?.address ?? "behind NAT, or not told", "less"],
    ["When", (a) => time(a.time, true)],
  ], entry.acknowledged), more > 0 && h("p.muted", `and ${plural(more, "other")}`)];
}

function contents(entry, known, kept) {
  const s = entry.statement;
  return [
    h("h3", "Decoded"),
    s ? pairs(["Kind", s.kind], ["Address", s.subject],
      s.kind === "signal" && ["First attempt", `${s.first} (to the minute)`], s.kind === "signal" && ["Last attempt", s.last],
      s.kind === "signal" && ["Attempts", `about ${s.count} (told in steps)`], s.kind === "signal" && ["Services", s.services.join(", ") || "not told"],
      s.kind === "signal" && ["Kinds", s.kinds.join(", ") || "not told"], s.kind !== "signal" && ["Time", s.time],
      ["Sequence", s.sequence], ["Certificate", h("span.mono", s.certificate)], ["Record", h("span.mono", entry.id)])
      : h("p", "It cannot be decoded."),
    h("h3", "To whom"), receivers(entry, known),
    h("h3", `Raw, ${plural((entry.raw?.length ?? 0) / 2, "byte")}`), h("p.mono.raw", entry.raw ?? "not there"),
    entry.state === "preview" && h("p.muted.small", "Not signed, so it is nobody's word: zeros stand where the signature goes."),
    h("p.muted.small", `Purged on ${clock(Date.parse(entry.created) + kept * 1000)}, within the hour.`),
  ];
}

export function entries(list, known, kept, opened = new Set()) {
  return list.map((entry) => {
    const s = entry.statement;
    const details = h("details", {open: opened.has(entry.number), "data-number": entry.number, ontoggle() {
      if (this.open && this.children.length === 1) this.append(h("div", contents(entry, known, kept)));
    }}, h("summary", h("span.line", chip(words[entry.state] ?? entry.state, entry.state === "sent" ? "good" : "warn"),
      h("span", `${kinds[s?.kind] ?? "Entry"} `, s && h("b.mono", s.subject)),
      h("span.muted.less", s?.kind === "signal" ? `${s.count} attempts, ${s.services.join(", ")}` : ""),
      h("span.muted.end", entry.acknowledged_count ? `to ${plural(entry.acknowledged_count, "peer")}, ` : "", time(entry.created)))));
    return details;
  });
}

const sharing = {
  yes: ["Signals are sent.", "What is listed here has left this host, or will once a peer is there. Not listed: the figures under Mail flow that peers are told, and locks told to your own servers."],
  preview: ["Preview: nothing leaves this host.", "Below is what would be sent. In the file [share] mode = yes, and then grapevine reload, switch it on."],
  no: ["Sharing is off.", "No signal is made. What others report is received all the same."],
};

export function telemetry(main, {signal, title}) {
  const head = h("section.card.state"), list = h("div"), held = h("div"), count = h("p.muted", {role: "status"});
  const since = h("select", {id: "since", onchange: () => { have.clear(); refresh(); }},
    [["24h", "24 hours"], ["7d", "7 days"], ["30d", "30 days"]].map(([value, text]) => h("option", {value}, text)));
  const page = 100;
  const have = new Map(); // by number, in pages from the newest to the oldest that was asked for
  const more = h("button", {onclick: () => refresh(Math.min(...have.keys()))}, "Show more");
  let shown = "";
  title("Telemetry", h("p.muted", "Every signal that this node sends, in full."), head,
    h("section.card.grid", h("div.line", h("h2", "What was said"), h("label", {for: "since"}, "The last"), since),
      count, list, more), h("section.card.grid", held));

  async function refresh(before) {
    const first = !have.size, query = {since: since.value, limit: page};
    if (before) query.before = before;
    const [said, status, known] = await Promise.all([
      get("telemetry", {signal, query}), get("status", {signal}), names(signal)]);
    for (const entry of said.telemetry) have.set(entry.number, entry);
    if (first || before) more.hidden = said.telemetry.length < page;
    const all = [...have.values()].sort((a, b) => b.number - a.number);
    const text = JSON.stringify(all);
    const mode = sharing[status.share] ?? sharing.no, kept = said.kept_s;
    head.className = `card state ${status.share === "yes" ? "good" : "warn"}`;
    fill(head, h("span.mark", {"aria-hidden": "true"}, status.share === "yes" ? "↗" : "○"),
      h("div", h("h2", mode[0]), h("p", mode[1]),
        h("p.muted", `Entries are purged ${span(kept)} after they were made ([limits] telemetry): those from before `,
          h("b", clock(now() - kept * 1000)), " are gone. Purged once an hour.")));
    count.textContent = all.length ? `${plural(all.length, "entry", "entries")}, the newest first.`
      : "Nothing was said in this time.";
    if (text === shown) return;
    shown = text;
    const opened = new Set([...list.querySelectorAll("details[open]")].map((d) => Number(d.dataset.number)));
    fill(list, entries(all, known, kept, opened));
  }
  every(15, signal, () => refresh(), (error) => { count.textContent = error.message; });
  every(60, signal, async () => {
    const p = await get("privacy", {signal});
    fill(held, h("h2", "What this node holds, and until when"), table("What this node holds", [
      ["What", (i) => i.what], ["Until", (i) => i.until], ["Where", (i) => i.where, "less"], ["Rows", (i) => number(i.count), "number"],
    ], p.held), h("p.muted.small", "For one address: ", h("code", "grapevine privacy export"), " and ", h("code", "erase"), "."));
  });
}
