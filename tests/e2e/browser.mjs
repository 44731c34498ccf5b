// A headless Chromium, spoken to over a pipe (no port, no package): pages, keys, pictures, what went
// over the network, and what the console complained of. For Node 18 and later.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { inflateSync } from "node:zlib";

export class Browser {
  static async start(program, folder) {
    const browser = new Browser();
    mkdirSync(folder, {recursive: true});
    browser.process = spawn(program, ["--headless=new", "--remote-debugging-pipe", `--user-data-dir=${folder}`,
      "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad",
      "--force-color-profile=srgb", "about:blank"],
    {stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: {...process.env, HOME: folder}});
    browser.waiting = new Map();
    browser.pages = new Map();
    browser.number = 0;
    let rest = "";
    browser.process.stdio[4].setEncoding("utf8").on("data", (data) => {
      const parts = (rest + data).split("\0");
      rest = parts.pop();
      for (const part of parts) browser.#take(JSON.parse(part));
    });
    browser.process.on("exit", () => {
      for (const { reject } of browser.waiting.values()) reject(new Error("Chromium has ended"));
    });
    browser.process.stdio[3].on("error", () => {});
    return browser;
  }
  #take(message) {
    if (message.id) {
      const { resolve, reject, method } = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.error) reject(new Error(`${method}: ${message.error.message}`));
      else resolve(message.result);
    } else {
      this.pages.get(message.sessionId)?.happened(message.method, message.params);
    }
  }
  send(method, params = {}, sessionId = undefined) {
    const id = ++this.number;
    this.process.stdio[3].write(JSON.stringify({id, method, params, sessionId}) + "\0");
    return new Promise((resolve, reject) => this.waiting.set(id, {resolve, reject, method}));
  }
  async page() {
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", {url: "about:blank", browserContextId});
    const { sessionId } = await this.send("Target.attachToTarget", {targetId, flatten: true});
    const page = new Page(this, sessionId, targetId);
    this.pages.set(sessionId, page);
    for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"]) await page.send(`${domain}.enable`);
    return page;
  }
  stop() {
    this.process.removeAllListeners("exit");
    this.process.kill("SIGKILL");
  }
}

class Page {
  complaints = []; // of the console, and pages' exceptions
  requests = [];   // URLs
  constructor(browser, session, target) {
    Object.assign(this, {browser, session, target});
  }
  send(method, params) {
    return this.browser.send(method, params, this.session);
  }
  close() {
    return this.browser.send("Target.closeTarget", {targetId: this.target});
  }
  happened(method, params) {
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Runtime.exceptionThrown")
      this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type))
      this.complaints.push(params.args.map((a) => a.value ?? a.description).join(" "));
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level))
      this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
  }
  async run(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate",
      {expression, awaitPromise: true, returnByValue: true, userGesture: true,
        allowUnsafeEvalBlockedByCSP: false});
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }
  async until(what, expression, seconds = 20) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const value = await this.run(`(() => { try { return ${expression} } catch { return null } })()`).catch(() => null);
      if (value) return value;
      if (Date.now() > end) throw new Error(`gave up waiting for ${what}: ${expression}\n${await this.run("document.body.innerText").catch(() => "")}`);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }
  async open(url) {
    await this.send("Page.navigate", {url});
  }
  size(width, height, mobile = false) {
    return this.send("Emulation.setDeviceMetricsOverride", {width, height, deviceScaleFactor: 1, mobile});
  }
  scheme(value) {
    return this.send("Emulation.setEmulatedMedia", {features: [{name: "prefers-color-scheme", value}]});
  }
  async key(key) {
    const codes = {Tab: 9, Enter: 13, " ": 32, Escape: 27};
    const event = {key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: codes[key]};
    await this.send("Input.dispatchKeyEvent", {type: "keyDown", ...event, text: key === "Enter" ? "\r" : key === " " ? " " : undefined});
    await this.send("Input.dispatchKeyEvent", {type: "keyUp", ...event});
  }
  type(text) {
    return this.send("Input.insertText", {text});
  }
  // The picture of the whole page, into a file; and what can be said of it.
  async picture(file) {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    const { data } = await this.send("Page.captureScreenshot", {format: "png", captureBeyondViewport: true,
      clip: {x: 0, y: 0, width: cssContentSize.width, height: Math.min(cssContentSize.height, 2400), scale: 1}});
    const png = Buffer.from(data, "base64");
    writeFileSync(file, png);
    return look(png);
  }
  // What a screen reader is told: [{role, name}], in the order of the page.
  async tree() {
    const { nodes } = await this.send("Accessibility.getFullAXTree");
    return nodes.filter((n) => !n.ignored).map((n) => ({role: n.role?.value, name: n.name?.value ?? "",
      focusable: n.properties?.some((p) => p.name === "focusable" && p.value.value)}));
  }
}

// A PNG of 8 bits a channel, as Chromium writes it: its size, how many colours it has, and what part of
// it is of the most frequent one.
export function look(png) {
  const width = png.readUInt32BE(16), height = png.readUInt32BE(20), channels = png[25] === 6 ? 4 : 3;
  const parts = [];
  for (let at = 8; at < png.length;) {
    const len = png.readUInt32BE(at);
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(png.subarray(at + 8, at + 8 + len));
    at += 12 + len;
  }
  const data = inflateSync(Buffer.concat(parts)), line = width * channels;
  let last = new Uint8Array(line);
  const seen = new Map();
  for (let y = 0; y < height; y++) {
    const filter = data[y * (line + 1)], row = data.subarray(y * (line + 1) + 1, (y + 1) * (line + 1));
    for (let i = 0; i < line; i++) {
      const a = i >= channels ? row[i - channels] : 0, b = last[i], c = i >= channels ? last[i - channels] : 0;
      const p = a + b - c, pa = Math.abs(p - a), pb = Math.abs(p - b), pc = Math.abs(p - c);
      row[i] += [0, a, b, (a + b) >> 1, pa <= pb && pa <= pc ? a : pb <= pc ? b : c][filter];
    }
    for (let i = 0; i < line; i += channels) {
      const colour = (row[i] << 16) | (row[i + 1] << 8) | row[i + 2];
      seen.set(colour, (seen.get(colour) ?? 0) + 1);
    }
    last = row;
  }
  const most = [...seen.entries()].sort((x, y) => y[1] - x[1])[0];
  return {width, height, colours: seen.size, background: most[0], share: most[1] / (width * height)};
}
