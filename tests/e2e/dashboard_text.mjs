// dashboard_text.mjs CHROMIUM BASE TOKEN FOLDER ADDRESS...: each page of the dashboard as a browser has it,
// everything folded out, into FOLDER: for those who search it. Says how many. GV_PAGES: these alone.
import { mkdirSync, writeFileSync } from "node:fs";
import { Browser } from "./browser.mjs";

const [program, base, token, folder, ...addresses] = process.argv.slice(2);
mkdirSync(folder, {recursive: true});
const browser = await Browser.start(program, `${folder}.chromium`);
const page = await browser.page();
await page.open(`${base}/dashboard/`);
await page.until("the login", "document.querySelector('#token')");
await page.run(`sessionStorage.setItem("grapevine-token", "${token}")`);
const pages = {
  overview: "document.querySelector('main table') && document.querySelector('.feed li')", telemetry: "document.querySelector('details')",
  peers: "document.querySelectorAll('table').length === 2", flow: "document.querySelector('.grid dl')",
  alerts: "document.querySelector('main .grid .card')", settings: "document.querySelector('table')",
};
for (const address of addresses) pages[`address/${address}`] = "document.querySelector('.timeline, .card > .muted')";
for (const name of Object.keys(pages))
  if (process.env.GV_PAGES && !process.env.GV_PAGES.split(",").includes(name)) delete pages[name];
for (const [name, ready] of Object.entries(pages)) {
  await page.open(`${base}/dashboard/?${encodeURIComponent(name)}#/${name === "overview" ? "" : name}`);
  await page.until(name, ready, 60);
  await page.run("document.querySelectorAll('details').forEach((d) => { d.open = true })");
  await new Promise((resolve) => setTimeout(resolve, 300));
  const [html, text] = await page.run("[document.documentElement.outerHTML, document.documentElement.innerText]");
  writeFileSync(`${folder}/${name.replace("/", "-")}.html`, `${html}\n${text}\n`);
}
browser.stop();
console.log(`${Object.keys(pages).length} pages of the dashboard`);
