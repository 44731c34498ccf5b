// Peers, alerts, settings: lists that explain themselves.
import { bytes, card, chip, fill, h, number, table, time } from "./dom.js";
import { every, get } from "./api.js";

const short = (id) => h("span.mono", {title: id}, id ? id.slice(0, 12) : "not told yet");

export function peers(main, {signal, title}) {
  const out = h("div.grid");
  title("Peers", h("p.muted", "The nodes that this one talks to directly, and all that the network knows of."), out);
  every(10, signal, async () => {
    const [p, r, s] = await Promise.all([get("peers", {signal}), get("roster", {signal}), get("status", {signal})]);
    fill(out,
      card(`Connected: ${number(p.peers.length)}`, table("Connected peers", [
        ["Address", (x) => h("span.mono", x.address)],
        ["Dialled by", (x) => (x.direction === "out" ? "this node" : "them")],
        ["Owner", (x) => [short(x.owner), " ", x.own && chip("your own", "good")]], ["Network", (x) => x.group ?? "?"],
        ["Connected", (x) => time(x.since)], ["Clock", (x) => (x.clock_offset_ms === null ? "?" : `${number(x.clock_offset_ms)} ms`), "number"],
        ["Received", (x) => bytes(x.bytes_in), "number"], ["Sent", (x) => bytes(x.bytes_out), "number"],
      ], p.peers, "No peer is connected.")),
      card(`Known in the network: ${number(r.instances.length)}`, table("Known nodes", [
        ["Instance", (x) => [short(x.instance), " ", x.instance === s.instance && chip("this node", "good")]],
        ["Owner", (x) => short(x.owner)], ["Network", (x) => x.group], ["Member since", (x) => time(x.since)],
        ["Certificate ends", (x) => time(x.expires)],
        ["State", (x) => (x.revoked ? chip("revoked", "bad") : x.fault ? chip("contradicted itself", "bad") : chip("good", "good"))],
      ], r.instances.slice(0, 500), "Nobody is known yet."), r.instances.length > 500 && h("p.muted", "The first 500 are shown.")));
  });
}

const learning = {
  off: "No flow of mail is watched.", learning: "Still learning what is usual here: in the first week nothing is said.",
  warming: "Known for less than three weeks: judged by the hour of the day.", knowing: "Judged by the hour of the week.",
};

export function alerts(main, {signal, title}) {
  const out = h("div.grid");
  title("Alerts", h("p.muted", "When the sums of the mail flow are not as usual: more outgoing mail, bounces, rejections, failed logins, a longer queue, or silence."), out);
  every(15, signal, async () => {
    const a = await get("alerts", {signal, query: {limit: 200}});
    fill(out, card("What is usual", h("p", learning[a.baseline] ?? a.baseline)),
      card("Alerts", table("Alerts, the newest first", [
        ["State", (x) => chip(x.state === "on" ? "goes on" : "over", x.state === "on" ? "bad" : "good")],
        ["What", (x) => x.text], ["Began", (x) => time(x.began, true)],
        ["Ended", (x) => (x.ended ? time(x.ended, true) : "")], ["Seen", (x) => number(x.value), "number"],
        ["Usual", (x) => number(x.usual), "number"], ["Limit", (x) => number(x.limit), "number"],
      ], a.alerts, "None.")));
  });
}

export function settings(main, {signal, title}) {
  const out = h("div.grid");
  title("Settings", h("p.muted", "As they are in force. They are changed in the file alone, and taken over by ",
    h("code", "grapevine reload"), "."), out);
  every(60, signal, async () => {
    const s = await get("settings", {signal});
    const sections = [...new Set(s.settings.map((x) => x.section))];
    fill(out, h("p", "File: ", h("span.mono", s.file)), sections.map((name) => card(`[${name}]`,
      table(`Settings of ${name}`, [
        ["Key", (x) => h("span.mono", x.key)],
        ["Value", (x) => (x.value ? h("span.mono", x.value) : h("span.muted", "empty"))],
        ["From", (x) => (x.line ? chip(`line ${x.line}`, "good") : chip("default"))],
        ["Meaning", (x) => h("span.small.muted", x.doc), "less"],
      ], s.settings.filter((x) => x.section === name)))));
  });
}
