// Not a test: measures what a person feels, and prints it. `node bench.mjs [devices] [seconds]`, with KEYSTEAD_BIN_DIR.

import os from "node:os";
import { Home, openBrowser, openPage } from "./harness.mjs";

const devices = Number(process.argv[2] ?? "1000");
const seconds = Number(process.argv[3] ?? "20");

function quantiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]?.toFixed(1);
  return `p50 ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}  max ${at(1)}  (${sorted.length})`;
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
    const begun = performance.now();
    const page = await openPage(browser, url);
    await page.locator(".value").first().waitFor();
    console.log(`ms until the first value is shown: ${(performance.now() - begun).toFixed(0)}`);
    if (i === 2) console.log(`ms from taken to shown, one device: ${quantiles(await latencies(page))}`);
    await page.context().close();
  }
  if (devices > 0) {
    await home.do("fleet", { count: devices });
    const begun = performance.now();
    const page = await openPage(browser, url);
    await page.locator(".value").first().waitFor();
    console.log(`ms until the first value is shown, ${devices} devices: ${(performance.now() - begun).toFixed(0)}`);
    const { between, busy } = await frames(page);
    console.log(`ms between frames, ${devices} devices at 1 Hz: ${quantiles(between)}`);
    console.log(`ms busy at a stretch (over 50): ${busy.length === 0 ? "never" : quantiles(busy)}`);
    console.log(`ms from taken to shown, what is in sight: ${quantiles(await latencies(page))}`);
  }
} finally {
  await browser.close();
  await home.end();
}
