// dashboard.mjs CHROMIUM BASE TOKEN FOLDER SCRATCH: what dashboard.sh lets a real browser look at. Pictures
// go to FOLDER. Prints what is wrong; the exit status says whether anything is.
import { mkdirSync, existsSync, writeFileSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { Browser } from "./browser.mjs";

const [program, base, token, folder, scratch] = process.argv.slice(2);
const home = `${base}/dashboard/`;
let failures = 0;
const fail = (text) => { failures++; console.log(`FAILED: ${text}`); };
const check = (good, text) => { if (!good) fail(text); };
mkdirSync(folder, {recursive: true});
const browser = await Browser.start(program, `${scratch}/chromium`);

// Name, address, what is there once it is complete, and what must be read on it.
const pages = [
  ["overview", "#/", "document.querySelector('table') && document.querySelector('canvas[data-drawn]') && document.querySelector('.feed a')", ["attacking now", "Verdict changes, live", "198.51.100.7"]],
  ["telemetry", "#/telemetry", "document.querySelector('details')", ["Signals are sent", "Not listed: the figures under Mail flow", "198.51.100.7", "Entries are purged 30 days after"]],
  ["address", "#/address/198.51.100.7", "document.querySelector('.timeline li')", ["Why:", "refused", "Timeline", "Failed attempts today", "This node signalled it"]],
  ["peers", "#/peers", "document.querySelectorAll('table').length === 2", ["127.2.0.1", "this node"]],
  ["flow", "#/flow", "document.querySelector('.grid dl') && document.querySelector('canvas[data-drawn]')", ["Received", "Failed logins", Number(readFileSync(`${scratch}/flow.sum`, "utf8")).toLocaleString("en")]],
  ["alerts", "#/alerts", "document.querySelector('main .grid .card')", ["Still learning what is usual here"]],
  ["settings", "#/settings", "document.querySelector('table')", ["[share]", "line ", "default", "127.0.0.1:"]],
];

async function signIn(page, with_ = token) {
  await page.until("the login", "document.querySelector('#token')");
  await page.run("document.querySelector('#token').value = ''; document.querySelector('#token').focus()");
  await page.type(with_);
  await page.key("Enter");
}
const text = (page) => page.run("document.body.innerText");

// ---- every page, light, dark, on a phone ---------------------------------------------------------
const page = await browser.page();
await page.size(1280, 900);
await page.open(home);
await page.until("the login", "document.querySelector('#token')");
await page.picture(`${folder}/login.png`);
await signIn(page);
await page.until("the overview", "document.querySelector('table')");
check(await page.run("document.activeElement !== document.body"), "the focus is nowhere after signing in");
let wider = 0;
for (const [mode, width, height, mobile] of [["light", 1280, 900, false], ["dark", 1280, 900, false], ["phone", 390, 844, true]]) {
  await page.scheme(mode === "dark" ? "dark" : "light");
  await page.size(width, height, mobile);
  for (const [name, address, ready, words] of pages) {
    await page.run(`location.hash = "${address}"`);
    await page.until(name, ready);
    if (name === "telemetry") {
      await page.run("document.querySelector('details').open = true");
      await page.until("an entry", "document.querySelector('.raw')");
    }
    const shown = await text(page);
    for (const word of words) check(shown.includes(word), `${name}: "${word}" is not there`);
    check(!/undefined|NaN|\[object|Invalid Date/.test(shown), `${name}: shows what is no value: ${shown.match(/.*(undefined|NaN|\[object|Invalid Date).*/)?.[0]}`);
    const seen = await page.picture(`${folder}/${name}-${mode}.png`);
    // Text is hundreds of shades; an empty page has one or two.
    check(seen.colours > 100 && seen.share < 0.97, `${name}-${mode}.png is empty: ${JSON.stringify(seen)}`);
    const bright = (seen.background >> 16 & 255) + (seen.background >> 8 & 255) + (seen.background & 255);
    check((bright < 200) === (mode === "dark"), `${name}-${mode}.png is not ${mode}: background ${seen.background.toString(16)}`);
    const wide = await page.run("document.documentElement.scrollWidth");
    check(wide <= width, `${name}: ${wide} wide on a screen of ${width}`);
    // What does not fit can be scrolled by the keyboard, and has a name.
    const tables = await page.run("[...document.querySelectorAll('.scroll')].map((e) => [e.scrollWidth > e.clientWidth, e.tabIndex === 0 && e.getAttribute('role') === 'region' && Boolean(e.ariaLabel)])");
    check(tables.every(([, good]) => good), `${name}: a table that scrolls cannot be reached`);
    wider += tables.filter(([more]) => more).length;
    // What is drawn is seen, and has more than one colour.
    check(await page.run("[...document.querySelectorAll('main canvas')].every((c) => c.checkVisibility({visibilityProperty: true, opacityProperty: true}) && c.clientHeight > 80 && new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size > 3)"),
      `${name}-${mode}: a graph is not to be seen`);
    if (mode === "light") await readable(page, name);
  }
}

check(wider > 0, "no table is wider than a phone: nothing was tried");

// ---- minutes in which nobody looked are no zeros ---------------------------------------------------
await page.run("location.hash = '#/flow'");
await page.until("the graph", "document.querySelector('canvas[data-drawn]')");
const drawn = await page.run("window.Chart.getChart(document.querySelector('canvas')).data.datasets[0].data.map((p) => isNaN(p.y) ? '-' : p.y > 5 ? '+' : '.').join('')");
check((await page.run("[...document.querySelectorAll('dt')].find((t) => t.textContent === 'In the queue now').nextSibling.textContent"))
  === `${readFileSync(`${scratch}/flow.queue`, "utf8")} messages`, "the queue is not that of now");
check(/^-{5,}[+.]{90,}-*$/.test(drawn), `two hours of mail, of which it saw the last 110 minutes: ${drawn}`);

// ---- what a screen reader is told ----------------------------------------------------------------
async function readable(on, name) {
  const tree = await on.tree();
  const of = (...roles) => tree.filter((n) => roles.includes(n.role));
  for (const node of of("button", "link", "textbox", "combobox", "checkbox", "table", "image", "dialog", "region"))
    check(node.name.trim(), `${name}: a ${node.role} has no name`);
  check(of("main").length === 1 && of("banner").length === 1 && of("navigation").length === 1, `${name}: no landmarks`);
  check(of("heading").length >= 1, `${name}: no heading`);
  check(await on.run("document.querySelectorAll('h1').length") === 1, `${name}: not one h1`);
  check(await on.run("document.querySelectorAll('nav [aria-current=page]').length") === 1, `${name}: no current page`);
}

// ---- by the keyboard alone -----------------------------------------------------------------------
await page.scheme("light");
await page.size(1280, 900);
await page.run("location.hash = '#/'");
await page.until("the overview", "document.querySelector('table')");
await page.run("document.activeElement.blur(); getSelection().removeAllRanges(); document.querySelector('.skip').focus()");
check((await page.run("document.activeElement.getBoundingClientRect().width")) > 50, "the skip link is not seen when it has the focus");
const walked = [];
for (let i = 0; i < 12; i++) {
  await page.key("Tab");
  walked.push(await page.run("document.activeElement.textContent.trim().slice(0, 30)"));
  check(await page.run("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), `no outline on ${walked.at(-1)}`);
}
for (const name of ["Overview", "Telemetry", "Settings", "Theme", "Sign out"])
  check(walked.includes(name), `Tab does not come to ${name}: ${walked.join(", ")}`);
await page.run("document.querySelector('nav a[href=\"#/address\"]').focus()");
await page.key("Enter");
await page.until("the address page", "document.querySelector('#address')");
check(await page.run("document.activeElement.tagName") === "H1", "the heading of a new page has no focus");
await page.run("document.querySelector('#address').focus()");
await page.type("198.51.100.9");
await page.key("Enter");
await page.until("an address", "document.querySelector('.timeline')");

// Deny it with the keyboard; Escape changes nothing; then take it off again.
const press = async (name) => {
  const button = `[...document.querySelectorAll('button')].find((b) => b.textContent === "${name}" && !b.disabled)`;
  await page.until(name, button);
  await page.run(`${button}.focus()`);
  await page.key("Enter");
};
await press("Deny");
await page.until("the question", "document.querySelector('dialog[open]')");
check((await page.tree()).some((n) => n.role === "dialog" && n.name.startsWith("Deny")), "the question has no name");
await page.key("Escape");
await page.until("no question", "!document.querySelector('dialog[open]')");
check(!(await page.run("document.querySelector('main').innerText")).includes("on the deny list"), "Escape denied it");
await press("Deny");
await page.until("the question", "document.querySelector('dialog[open]')");
await page.key("Enter");
await page.until("the deny list", "document.querySelector('main').innerText.includes('on the deny list')");
check(await page.run("document.activeElement.textContent") === "Deny", "the focus is lost with what was done");
await page.until("word of it for screen readers", "document.getElementById('said').textContent.includes('deny list')");
await press("Take off the list");
await page.until("the question", "document.querySelector('dialog[open]')");
await page.key("Enter");
await page.until("it is off the list", "!document.querySelector('main').innerText.includes('on the deny list')");

// Allow, and take back what was said: each does what it says.
await press("Allow");
await page.until("the question", "document.querySelector('dialog[open]')");
await page.key("Enter");
await page.until("the allow list", "document.querySelector('main').innerText.includes('on the allow list')");
await press("Take off the list");
await page.until("the question", "document.querySelector('dialog[open]')");
await page.key("Enter");
await page.until("it is off the list", "!document.querySelector('main').innerText.includes('on the allow list')");
await press("Retract");
await page.until("the question", "document.querySelector('dialog[open]')");
await page.key("Enter");
await page.until("the retraction", "document.querySelector('main').innerText.toLowerCase().includes('retraction')");

// ---- live ----------------------------------------------------------------------------------------
await page.run("location.hash = '#/'");
await page.until("the overview", "document.querySelector('.feed a')");
writeFileSync(`${scratch}/attack`, ""); // dashboard.sh writes to the log
const start = Date.now();
check(await page.run("document.querySelector('.feed').ariaLive") === "polite", "live changes are not told to screen readers");
await page.until("a verdict change, live", "document.querySelector('.feed').innerText.includes('198.51.100.44')", 15);
console.log(`a change was shown ${Date.now() - start} ms after dashboard.sh was asked to write it to the log`);

// ---- preview --------------------------------------------------------------------------------------
await page.run("location.hash = '#/telemetry'");
await page.until("the page", "document.querySelector('details')");
writeFileSync(`${scratch}/preview`, "");
while (existsSync(`${scratch}/previewed`) === false) await new Promise((resolve) => setTimeout(resolve, 50));
await page.run("location.hash = '#/'");
await page.run("location.hash = '#/telemetry'");
await page.until("the preview", "document.body.innerText.includes('Preview: nothing leaves this host')", 30);
await page.until("what would be sent", "document.body.innerText.includes('not sent: preview')", 30);
await page.run("document.querySelector('details').open = true");
await page.until("nobody got it", "document.querySelector('details').innerText.includes('To nobody.') && document.querySelector('.raw')");
await page.picture(`${folder}/telemetry-preview.png`);
const entries = "document.querySelectorAll('details').length";
check(await page.run(entries) === 100, `${await page.run(entries)} entries in a page`);
await page.run("[...document.querySelectorAll('main button')].find((b) => b.textContent === 'Show more').click()");
await page.until("the next page", `${entries} > 100 && [...document.querySelectorAll('main button')].find((b) => b.textContent === 'Show more').hidden`);
check(await page.run("new Set([...document.querySelectorAll('details summary')].map((s) => s.textContent)).size === document.querySelectorAll('details').length"), "an entry is shown twice");
check(await page.run("document.querySelector('details').open"), "what was folded out is folded in by the next page");

// ---- no place for one more to wait -----------------------------------------------------------------
// A crowd asks again whenever it was answered, so that it gets every place that becomes free.
let newest = (await (await fetch(`${base}/api/v1/changes`, {headers: {Authorization: `Bearer ${token}`}})).json()).serial;
const crowd = Array.from({length: 540}, () => {
  const socket = connect(Number(new URL(base).port), "127.0.0.1");
  const ask = () => socket.destroyed || socket.write(`GET /api/v1/changes?since=${newest}&wait=60 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  socket.on("error", () => {});
  socket.on("data", (data) => {
    newest = data.toString().match(/"serial":"([^"]+)"/)?.[1] ?? newest;
    setTimeout(ask, 200);
  });
  ask();
  return socket;
});
const tooMany = "document.body.innerText.includes('Too many dashboards are open for live changes')";
for (let attempt = 1; ; attempt++) {
  await page.run("location.hash = '#/telemetry'");
  await new Promise((resolve) => setTimeout(resolve, 3000)); // what the page waited for before holds no place any more
  await page.run("location.hash = '#/'");
  if (await page.until("a word about too many dashboards", tooMany, attempt < 5 ? 5 : 20).catch((error) => { if (attempt === 5) throw error; })) break;
}
check((await text(page)).includes("attacking now"), "without live changes the rest is not shown");
for (const socket of crowd) socket.destroy();

// ---- text that wants to be more --------------------------------------------------------------------
for (const nasty of ["<img src=x onerror=alert(1)>", "'\"><script>alert(1)</script>", "%E2%80%AEevil", "%", "=cmd|'/c calc'!A0", "javascript:alert(1)", "__proto__"]) {
  await page.run(`location.hash = "#/address/" + ${JSON.stringify(nasty.startsWith("%") ? nasty : encodeURIComponent(nasty))}`);
  await page.until("a refusal", "document.querySelector('.error').textContent.length > 0");
  check(await page.run("!document.querySelector('main img, main script, main iframe')"), `${nasty} became markup`);
  check(!/[\u202a-\u202e\u0000-\u0008]/.test(await text(page)), `${nasty}: a control character is shown`);
}
await page.run("location.hash = '#/settings'");
await page.until("the settings", "document.querySelector('table')");
check((await text(page)).includes("<script>alert(1)</script>"), "the hostile path of a log is not shown as text");
check(await page.run("!document.querySelector('main script')"), "a path became markup");
// The policy holds where the code might slip.
const blocked = await page.run(`(() => {
  const out = [];
  try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); out.push("markup"); } catch {}
  try { eval("1"); out.push("eval"); } catch {}
  const s = document.createElement("div"); s.setAttribute("style", "color: red"); document.body.append(s);
  if (s.style.color === "red") out.push("style");
  s.remove();
  return fetch("http://localhost:1/").then(() => out.push("fetch"), () => {}).then(() => out.join());
})()`);
check(blocked === "", `the policy lets through: ${blocked}`);
page.complaints = page.complaints.filter((c) => !/Content Security Policy|Trusted(HTML|Script)|localhost:1|404|400/.test(c));

// ---- where it stands among its peers (flow_peers.sh makes peers tell) ------------------------------------
await page.run(`window.real = window.fetch; window.fetch = async (...asked) => {
  const answer = await real(...asked);
  if (!String(asked[0]).includes("/stats/peers")) return answer;
  return new Response(JSON.stringify({...await answer.json(), figures: [{text: "bounce rate 9%: higher than 95% of peers"}, {text: null}]}), answer);
}; location.hash = '#/flow'`);
await page.until("the place among the peers", "document.querySelector('main').innerText.includes('bounce rate 9%: higher than 95% of peers.')");
await page.run("window.fetch = real");

// ---- what the node says of its registry (two_faces.sh makes a node say it) ---------------------------
await page.run(`window.real = window.fetch; window.fetch = async (...asked) => {
  const answer = await real(...asked);
  if (!String(asked[0]).endsWith("/status")) return answer;
  const status = await answer.json();
  Object.assign(status.registry, {finding: "it shows two <b>faces", log: {...status.registry.log, trouble: "it is withheld"}});
  return new Response(JSON.stringify(status), answer);
}; location.hash = '#/'`);
await page.until("the finding", "document.querySelector('main').innerText.includes('The registry is not to be trusted: it shows two <b>faces')");
check((await text(page)).includes("The registry's log is not compared: it is withheld"), "a log that is withheld is not told");
await page.run("window.fetch = real");

// ---- a clock that jumps ----------------------------------------------------------------------------
await page.run("{ const real = Date.now.bind(Date); Date.now = () => real() - 3 * 86400e3; location.hash = '#/' }");
await page.until("the overview again", "document.querySelector('.feed time')");
await page.until("a word about the clocks", "document.querySelector('#trouble:not([hidden])')?.textContent.includes('3 days apart')");
check(!/in \d+ (h|days|min)/.test(await page.run("document.querySelector('main').innerText")), "what has happened lies in the future after a jump of the clock");
await page.run("{ const now = Date.now; Date.now = () => now() + 3 * 86400e3; location.hash = '#/alerts' }");
await page.until("no word about the clocks", "document.querySelector('#trouble').hidden");

// ---- nothing from elsewhere, nothing wrong -----------------------------------------------------------
for (const url of page.requests)
  check(url.startsWith(`${base}/`) || url.startsWith("http://localhost:1/"), `a request to elsewhere: ${url}`);
for (const complaint of page.complaints.filter((c) => !/503 .*changes/.test(c))) fail(`console: ${complaint}`);
const stored = await page.run("JSON.stringify([Object.keys(localStorage), Object.keys(sessionStorage), document.cookie])");
check(stored === '[[],["grapevine-token"],""]', `stored: ${stored}`);

// ---- tokens ----------------------------------------------------------------------------------------
const other = await browser.page();
await other.size(1280, 900);
await other.open(`${home}#/telemetry`);
await signIn(other, "not a token");
await other.until("a word about the form", "document.querySelector('.error').textContent.includes('64 digits')");
await signIn(other, "0".repeat(64));
await other.until("a word about the token", "document.querySelector('.error').textContent.includes('not valid')");
check(await other.run("sessionStorage.length === 0"), "a wrong token is kept");
check(!(await text(other)).includes("198.51.100.7"), "something is shown without a token");
await signIn(other);
await other.until("the page that was asked for", "document.querySelector('details')");
await other.run("location.hash = '#/'");
await other.until("the overview", "document.querySelector('table')");
writeFileSync(`${scratch}/revoke`, ""); // dashboard.sh makes a new token
await other.until("the end of the old token", "document.querySelector('.error')?.textContent.includes('not valid')");
check(!(await text(other)).includes("198.51.100.7"), "what was seen stays after the token was revoked");
const fresh = readFileSync(`${scratch}/token`, "utf8").trim();
await signIn(other, fresh);
await other.until("the overview", "document.querySelector('table')");
await other.run("document.querySelector('#leave').click()");
await other.until("the login", "document.querySelector('#token')");
check(await other.run("sessionStorage.length === 0"), "the token is kept after signing out");

browser.stop();
console.log(failures ? `${failures} failures` : `${pages.length} pages in light, dark and on a phone are as they should be; pictures: ${folder}`);
process.exit(failures ? 1 : 0);
