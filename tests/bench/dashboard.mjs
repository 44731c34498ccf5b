// dashboard.mjs CHROMIUM BASE TOKEN FOLDER: how long the dashboard takes to be seen, each time from an empty
// cache: the first paint, the overview with all its figures, the telemetry and an address. Medians.
import { Browser } from "../e2e/browser.mjs";

const [program, base, token, folder] = process.argv.slice(2);
const browser = await Browser.start(program, `${folder}/chromium`);
const page = await browser.page();
const rounds = 7, took = {paint: [], overview: [], telemetry: [], address: []};
await page.size(1280, 900);
await page.send("Network.setCacheDisabled", {cacheDisabled: true});
await page.open(`${base}/dashboard/`);
await page.until("the login", "document.querySelector('#token')");
await page.run(`sessionStorage.setItem("grapevine-token", "${token}")`);
for (let i = 0; i <= rounds; i++) {
  await page.open(`${base}/dashboard/?${i}`);
  await page.until("the overview", "performance.getEntriesByName('overview')[0] && performance.getEntriesByName('first-contentful-paint')[0]", 60);
  const [paint, overview] = await page.run(`["first-contentful-paint", "overview"].map((n) => performance.getEntriesByName(n)[0].startTime)`);
  const follow = async (hash, ready) => {
    return page.run(`new Promise((resolve) => {
      const start = performance.now();
      location.hash = "${hash}";
      const look = () => (document.querySelector("${ready}") ? resolve(performance.now() - start) : requestAnimationFrame(look));
      requestAnimationFrame(look);
    })`);
  };
  const telemetry = await follow("#/telemetry", "details");
  const address = await follow("#/address/45.0.1.7", ".timeline");
  if (i === 0) continue; // the browser's own first start
  took.paint.push(paint);
  took.overview.push(overview);
  took.telemetry.push(telemetry);
  took.address.push(address);
}
browser.stop();
for (const [name, list] of Object.entries(took)) {
  list.sort((a, b) => a - b);
  console.log(`${name} ${list[0].toFixed(0)} ${list[list.length >> 1].toFixed(0)} ${list.at(-1).toFixed(0)}`);
}
