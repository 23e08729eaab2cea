// What the tests share: a real home (stack.py), a browser, and pages that remember everything that went wrong in them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../..");
export const shots = process.env.KEYSTEAD_CONSOLE_SHOTS ?? path.join(root, "build/console-shots");
export const PATIENCE = 1000 * Number(process.env.KEYSTEAD_E2E_PATIENCE ?? "30");

/** One home and the processes around it; `await home.do("kill", {name: "backend"})`. */
export class Home {
  static async begin(script = "stack.py") {
    const home = new Home(script);
    await home.do("begin");
    return home;
  }

  constructor(script) {
    this.script = script;
    this.child = spawn("python3", ["-B", path.join(here, script)], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async do(op, more = {}) {
    this.child.stdin.write(`${JSON.stringify({ op, ...more })}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.script} ended at '${op}'`);
    const answer = JSON.parse(value);
    if (answer.error !== undefined) throw new Error(`${op}: ${answer.error}`);
    return answer;
  }

  async end() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin.end();
    await ended;
  }
}

export async function openBrowser() {
  fs.mkdirSync(shots, { recursive: true });
  const executablePath = process.env.KEYSTEAD_CHROMIUM ?? "/usr/bin/chromium";
  // As root, as in a container of a CI, Chromium's own sandbox cannot be set up.
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args: [...args, "--disable-gpu"] });
}

export const WIDE = { width: 1440, height: 900 };
export const PHONE = { width: 360, height: 740 };

// Other networks of the machine come and go, as those of containers do, and Chromium then drops what is under way. The
// page's own requests try again; for its files the harness does.
const MACHINE = /ERR_NETWORK_CHANGED/;

async function load(page, url) {
  for (let i = 0; ; ++i) {
    if (i > 0) await page.goto("about:blank");  // otherwise only the fragment would change
    await page.goto(url);
    const ready = page.locator("html[data-page]").waitFor({ state: "attached" });
    const failed = new Promise((resolve) => {
      if (page.troubles.some((trouble) => MACHINE.test(trouble))) resolve("failed");
      page.once("requestfailed", () => resolve("failed"));
    });
    if (await Promise.race([ready, failed]) !== "failed" || i === 5) return ready;
    ready.catch(() => {});
    page.troubles = page.troubles.filter((trouble) => !MACHINE.test(trouble));
  }
}

/** A page of a context of its own. `page.troubles`: what was said in its console, thrown, or refused by its policy. `prepare`
    runs in it before its own code, with `given`. */
export async function openPage(browser, url, { viewport = WIDE, colorScheme = "light", hasTouch = false, prepare, given } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, hasTouch, deviceScaleFactor: 1 });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.troubles = [];
  page.expected = [MACHINE];  // and what a test itself brings about
  page.elsewhere = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.troubles.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => page.troubles.push(`thrown: ${error.stack}`));
  page.on("request", (request) => {
    const origin = new URL(request.url()).origin;
    if (origin !== new URL(url).origin && !request.url().startsWith("data:")) page.elsewhere.push(request.url());
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  if (prepare !== undefined) await page.addInitScript(prepare, given);
  await load(page, url);
  return page;
}

/** Nothing went wrong in the page but what the test brought about itself, and it asked nobody but its console. */
export function assertCalm(page) {
  const left = page.troubles.filter((trouble) => !page.expected.some((pattern) => pattern.test(trouble)));
  assert.deepEqual(left, [], "the browser's console is not clean");
  assert.deepEqual(page.elsewhere, [], "the page asked somebody else");
}

/** To prepare a page with: it is told `given[path]` instead of what the console says; of the events, that as the one step that comes. */
export function answerWith(given) {
  const real = globalThis.fetch;
  globalThis.fetch = async (path, options) => {
    if (!(path in given)) return real(path, options);
    const text = JSON.stringify(given[path]);
    if (path !== "/api/v1/events") return new Response(text, { headers: { "Content-Type": "application/json" } });
    const event = new TextEncoder().encode(`id: told-1\nevent: changes\ndata: ${text}\n\n`);
    return new Response(new ReadableStream({ start: (stream) => stream.enqueue(event) }));  // and it stays open
  };
}

/** On a phone nobody scrolls sideways. */
export async function assertFits(page, what) {
  const { wide, screen } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, screen: innerWidth }));
  assert.ok(wide <= screen, `${what}: ${wide} pixels wide on a screen of ${screen}`);
}

export async function shoot(page, name) {
  await page.screenshot({ path: path.join(shots, `${name}.png`), animations: "disabled" });
}

/** Serious and critical findings of axe-core. */
export async function accessibilityProblems(page) {
  const source = fs.readFileSync(path.join(here, "node_modules/axe-core/axe.min.js"), "utf8");
  await page.evaluate(source);  // by the debugger: the page's policy is not asked, and does not get weaker
  // Of the lines of a dump all are alike, and there are hundreds.
  const found = await page.evaluate(() => axe.run({ exclude: [".dump .line:nth-child(n+3)"] }, { resultTypes: ["violations"] }));
  return found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
}

export const card = (page, device) => page.locator("article.device", { has: page.getByRole("heading", { name: device, exact: true }) });
export const channel = (page, device, label) => card(page, device).locator(".channel", { has: page.getByText(label, { exact: true }) });

/** Until the page says so. (Playwright's own waitForFunction evaluates strings in the page, which its policy forbids.) */
export async function until(page, condition, argument) {
  const deadline = Date.now() + PATIENCE;
  while (!(await page.evaluate(condition, argument))) {
    assert.ok(Date.now() < deadline, `waited in vain for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
