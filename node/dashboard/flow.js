// The mail flow: a live graph of sums, and the same as figures.
import { $, bytes, card, clock, fill, h, number, pairs, plural, say, span, table, time } from "./dom.js";
import { every, get } from "./api.js";

const chartIsThere = new Promise((resolve) => {
  if (window.Chart) resolve();
  else $("chart").addEventListener("load", resolve);
});
// As they are now: light or dark.
const soft = () => getComputedStyle(document.querySelector("footer")).color;
const line = () => getComputedStyle(document.querySelector("header")).borderBottomColor;

// Colours that can be told apart on light and on dark, also by who sees red and green alike.
export const series = {
  received: ["Received", "#3b82f6"], delivered: ["Delivered", "#14b8a6"], outgoing: ["Outgoing", "#8b5cf6"],
  forwarded: ["Forwarded", "#0ea5e9"], deferred: ["Deferred", "#eab308"], deferrals: ["Deferrals", "#a16207"],
  bounced: ["Bounced", "#f97316"], expired: ["Expired", "#9a3412"], rejected: ["Rejected", "#ef4444"],
  held: ["Held", "#78716c"], discarded: ["Discarded", "#a8a29e"], logins: ["Logins", "#22c55e"],
  login_failures: ["Failed logins", "#ec4899"], queue_max: ["Queue", "#64748b"],
};

// A quiet minute has a row; without one nobody looked, and the line has a gap.
function points(stats, name) {
  const step = {minute: 60e3, hour: 3600e3, day: 864e5}[stats.by];
  const known = new Map(stats.rows.map((row) => [Date.parse(row.at), row[name]]));
  const list = [];
  for (let at = Date.parse(stats.since); at < Date.parse(stats.until); at += step)
    list.push({x: at, y: Math.max(0, known.get(at) ?? NaN)});
  return list;
}

export async function graph(canvas, signal) {
  await chartIsThere;
  let chart = null, stats = null, names = [];
  const options = () => ({
    animation: false, responsive: true, maintainAspectRatio: false, normalized: true, parsing: false,
    interaction: {mode: "index", intersect: false}, events: ["mousemove", "mouseout", "touchstart", "touchmove"],
    scales: {
      x: {type: "linear", min: Date.parse(stats.since), max: Date.parse(stats.until), grid: {display: false},
          ticks: {color: soft(), maxTicksLimit: 7, maxRotation: 0,
                  callback: (value) => (stats.by === "minute" ? clock(value, false) : clock(value).slice(5, stats.by === "day" ? 10 : 16))}},
      y: {beginAtZero: true, suggestedMax: 5, grid: {color: line()}, ticks: {color: soft(), precision: 0, maxTicksLimit: 6}},
    },
    plugins: {legend: {display: false}, tooltip: {callbacks: {title: (items) => clock(items[0].parsed.x)}}},
  });
  const datasets = () => names.map((name) => ({
    label: series[name][0], data: points(stats, name), borderColor: series[name][1], backgroundColor: series[name][1],
    borderWidth: 2, pointRadius: 0, tension: .25,
  }));
  const draw = () => {
    if (!stats) return;
    if (!chart) {
      chart = new window.Chart(canvas, {type: "line", data: {datasets: datasets()}, options: options()});
      canvas.dataset.drawn = "yes";
      return;
    }
    chart.data.datasets = datasets();
    chart.options = options();
    chart.update("none");
  };
  document.addEventListener("theme", draw, {signal});
  signal.addEventListener("abort", () => chart?.destroy());
  return (newStats, newNames) => {
    [stats, names] = [newStats, newNames];
    if (!signal.aborted) draw();
  };
}

const ranges = {
  "2 hours": ["2h", "minute"], "12 hours": ["12h", "minute"], "48 hours": ["48h", "minute"], "7 days": ["7d", "hour"],
  "90 days": ["90d", "day"],
};

export function flow(main, {signal, title}) {
  let shown = new Set(["received", "delivered", "deferred", "bounced", "rejected", "login_failures"]);
  let show = null, stats = null;
  const range = h("select", {id: "range", onchange: () => refresh().catch(() => {})},
    Object.keys(ranges).map((name) => h("option", name)));
  const canvas = h("canvas", {role: "img", "aria-label": "Mail flow over time; the same figures are in the tables below"});
  const figures = h("div"), rows = h("div"), note = h("p.muted.small");
  const boxes = Object.entries(series).map(([name, [text, colour]]) => {
    const key = h("span.key", {"aria-hidden": "true"});
    key.style.backgroundColor = colour;
    return h("label", h("input", {
      type: "checkbox", checked: shown.has(name),
      onchange: (event) => {
        if (event.target.checked) shown.add(name);
        else shown.delete(name);
        draw();
      },
    }), key, text);
  });
  title("Mail flow",
    h("p.muted", "Sums of this whole server, of no sender, recipient or account. Mail is counted in Postfix's log alone."),
    h("section.card.grid",
      h("div.line", h("h2", "Over time"), h("label", {for: "range"}, "Range"), range),
      h("fieldset", h("legend.unseen", "What is drawn"), boxes),
      h("div.chart", canvas), note),
    h("div.grid.two", h("section.card", figures), card("What an unusual figure means",
      h("p", "Rejected: turned away at the door, mostly spam. Deferred: messages that wait for another try. ",
        "Bounced: given up, the sender is told. Many bounces or much more outgoing mail than usual may mean that ",
        "somebody has an account's password."),
      h("p", "What is unusual here is under ", h("a", {href: "#/alerts"}, "Alerts"), "."))),
    h("section.card.grid", rows));

  function draw() { show?.(stats, [...shown]); }
  async function refresh() {
    const [since, by] = ranges[range.value];
    stats = await get("stats", {signal, query: {since, by}});
    const peers = await get("stats/peers", {signal});
    const sum = stats.sum;
    fill(figures, h("h2", `Sums of the last ${range.value}`), pairs(
      ...Object.keys(series).filter((name) => name !== "queue_max").map((name) => [series[name][0], number(sum[name])]),
      ["Bytes received", bytes(sum.bytes_received)], ["Bytes delivered", bytes(sum.bytes_delivered)],
      ["In the queue now", stats.queue ? plural(stats.queue.messages, "message") : "-"],
      ["Longest queue", number(sum.queue_max)], ["Oldest in it", span(sum.queue_age)]),
      h("h2", "Among direct peers, of a day"),
      peers.figures.filter((f) => f.text).map((f) => h("p", f.text + ".")),
      h("p.muted.small", `${plural(peers.peers, "peer")} of other owners told theirs`
        + (peers.mine ? "" : "; there was too little mail here to compare") + ". This host tells them "
        + (peers.told ? "its size class and these per cents." : "nothing of its own.")));
    note.textContent = stats.rows.length ? `Until ${clock(Date.parse(stats.until))}, by the ${stats.by}.`
      : "Nothing has been counted in this time: is the mail log configured ([log] file)?";
    const newest = [...stats.rows].reverse().slice(0, 60);
    if (!rows.querySelector("details[open]"))
      fill(rows, h("details", h("summary", `As a table, the latest ${newest.length}`),
        table("Mail flow by the " + stats.by, [["Time", (r) => time(r.at, true)],
          ...Object.entries(series).map(([name, [text]]) => [text, (r) => number(r[name]), "number"])], newest, "nothing yet")));
    draw();
  }
  graph(canvas, signal).then((ready) => { show = ready; draw(); });
  every(30, signal, refresh, (error) => say(error.message));
}
