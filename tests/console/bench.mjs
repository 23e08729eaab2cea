// Not a test: measures what a person feels, and prints it. `node bench.mjs [devices] [readings a second] [seconds]`, with
// KEYSTEAD_BIN_DIR. A home has some 320 devices at most (docs/protocol.md): they measure more often, so that as many readings come as from a thousand at 1 Hz.

import os from "node:os";
import { Home, openBrowser, openPage, until } from "./harness.mjs";

const devices = Number(process.argv[2] ?? "300");
const rate = Number(process.argv[3] ?? "1000");
const seconds = Number(process.argv[4] ?? "20");

function quantiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]?.toFixed(1);
  return `p50 ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}  max ${at(1)}  (${sorted.length})`;
}

/** In the page, before its own code: remembers when the first value stood in the document. */
function noteFirstValue() {
  new MutationObserver((_, observer) => {
    if (![...document.querySelectorAll(".value")].some((value) => value.textContent !== "")) return;
    globalThis.firstValueAt = performance.now();
    observer.disconnect();
  }).observe(document, { subtree: true, childList: true, characterData: true });
}

async function firstValue(page) {
  await until(page, () => globalThis.firstValueAt !== undefined);
  return (await page.evaluate(() => globalThis.firstValueAt)).toFixed(0);
}

/** Milliseconds from when a reading was taken, by the device's clock, to when the page had it in its document. */
async function latencies(page) {
  await page.evaluate(() => {
    globalThis.latencies = [];
    new MutationObserver((mutations) => {
      const now = performance.timeOrigin + performance.now();
      for (const { target } of mutations) globalThis.latencies.push(now - Number(target.dataset.taken) / 1000);
    }).observe(document.querySelector(".cards"), { subtree: true, attributeFilter: ["data-taken"] });
  });
  await page.waitForTimeout(1000 * seconds);  // it is what is measured
  return page.evaluate(() => globalThis.latencies);
}

/** Milliseconds between frames, and how long the page was busy at a stretch, while somebody scrolls up and down. */
async function frames(page) {
  return page.evaluate(async (duration) => {
    const between = [];
    const busy = [];
    new PerformanceObserver((list) => busy.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
    let last = performance.now();
    const end = last + duration;
    while (last < end) {
      const now = await new Promise(requestAnimationFrame);
      between.push(now - last);
      last = now;
      scrollTo(0, (1 + Math.sin(now / 3000)) * 2000);
    }
    return { between: between.slice(1), busy };
  }, 1000 * seconds);
}

const home = await Home.begin();
const browser = await openBrowser();
try {
  await home.do("found");
  await home.do("device", { name: "thermo", kind: "temperature", options: ["--interval", "0.25"] });
  await home.do("pair");
  const { url } = await home.do("serve");
  console.log(`machine: ${os.cpus().length} × ${os.cpus()[0].model}, load ${os.loadavg()[0].toFixed(1)}`);
  for (let i = 0; i < 3; ++i) {
    const page = await openPage(browser, url, { prepare: noteFirstValue });
    console.log(`ms from navigation until the first value is shown: ${await firstValue(page)}`);
    if (i === 2) console.log(`ms from taken to shown, one device: ${quantiles(await latencies(page))}`);
    await page.context().close();
  }
  if (devices > 0) {
    await home.do("fleet", { count: devices, interval: devices / rate });
    const page = await openPage(browser, url, { prepare: noteFirstValue });
    console.log(`ms from navigation until the first value is shown, ${devices} devices: ${await firstValue(page)}`);
    const { between, busy } = await frames(page);
    console.log(`ms between frames, ${devices} devices, ${rate} readings a second: ${quantiles(between)}`);
    console.log(`ms busy at a stretch (over 50): ${busy.length === 0 ? "never" : quantiles(busy)}`);
    console.log(`ms from taken to shown, what is in sight: ${quantiles(await latencies(page))}`);
  }
} finally {
  await browser.close();
  await home.end();
}
