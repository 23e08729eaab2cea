// The page in a browser, by file, as somebody opens it who was sent it: calm, asking nobody, for every eye, hand and printer.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { PHONE, WIDE, accessibilityProblems, assertCalm, openBrowser, openPage, shoot, shots } from "../console/harness.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "keystead-report-"));
const url = pathToFileURL(path.join(folder, "report.html")).href;
let browser;

before(async () => {
  execFileSync("python3", ["-B", path.join(here, "made_page.py"), folder], { stdio: "inherit" });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  fs.rmSync(folder, { recursive: true });
});

async function open(options) {
  const page = await openPage(browser, url, options);
  page.asked = [];
  page.on("request", (request) => page.asked.push(request.url()));
  return page;
}

const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

for (const colorScheme of ["light", "dark"]) {
  test(`nobody is kept out: ${colorScheme}`, async () => {
    const page = await open({ colorScheme });
    assert.deepEqual(await accessibilityProblems(page), []);
    await shoot(page, `report-${colorScheme}`);
    assertCalm(page);
    await page.context().close();
  });
}

test("hostile evidence neither acts nor asks anybody", async () => {
  const page = await open();
  await page.reload();
  await page.getByText("window.hurt = 1").first().waitFor();
  assert.equal(await page.evaluate(() => window.hurt), undefined);
  assert.deepEqual(page.asked, [url]);
  assertCalm(page);
  await page.context().close();
});

test("the page needs no script", async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole("heading", { name: "What could not be shown" }).waitFor();
  await page.getByRole("link", { name: "Outcome × component" }).click();
  assert.equal(new URL(page.url()).hash, "#outcomes");
  await context.close();
});

test("on a phone nothing has to be moved sideways but pictures and tables", async () => {
  const page = await open({ viewport: PHONE });
  assert.equal(await sideways(page), 0);
  const out = await page.evaluate(() => [...document.querySelectorAll("body *")]
    .filter((one) => !one.closest(".scroll > *, .unseen, .skip, .sprite") && one.getBoundingClientRect().right > window.innerWidth)
    .map((one) => `${one.tagName} ${one.className}`));
  assert.deepEqual(out, []);
  assert.deepEqual(await accessibilityProblems(page), []);
  await shoot(page, "report-phone");
  assertCalm(page);
  await page.context().close();
});

test("the matrix fits a phone", async () => {
  const page = await open({ viewport: PHONE });
  const box = page.locator(".scroll", { has: page.locator(".matrix") });
  assert.equal(await box.evaluate((one) => one.scrollWidth - one.clientWidth), 0);
  await page.context().close();
});

test("the keyboard comes to every link and every table, in order, and sees where it is", async () => {
  const page = await open();
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], [tabindex='0']")];
    all.forEach((one, at) => { one.dataset.stop = at; });
    return all.length;
  });
  assert.ok(wanted > 200, `only ${wanted} stops`);
  for (let at = 0; at < wanted; ++at) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const one = document.activeElement;
      return { at: Number(one.dataset.stop), outline: getComputedStyle(one).outlineStyle };
    });
    assert.deepEqual(stop, { at, outline: "solid" });
  }
  await page.context().close();
});

test("the first key leads past the contents", async () => {
  const page = await open();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "To what could not be shown");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.hash === "#not-shown");
  await page.context().close();
});

test("a cell leads to its reasons, and each verdict is said in words", async () => {
  const page = await open();
  const cell = page.locator('[data-cell="DP.3 APP"]').getByRole("link");
  assert.match(await cell.innerText(), /not met/);
  await cell.click();
  await page.waitForURL((url) => url.hash === "#cell-DP.3-APP");
  assert.match(await page.locator("[id='cell-DP.3-APP']").innerText(), /C1\.1a is NOT_MET/);
  await page.context().close();
});

test("a screen reader hears what each picture shows", async () => {
  const page = await open();
  const picture = page.getByRole("img", { name: /The processes of C1 and who calls whom/ });
  await picture.waitFor();
  const [, words] = (await picture.getAttribute("aria-labelledby")).split(" ");
  assert.match(await page.locator(`[id='${words}']`).textContent(), /acme-phone, cabin-phone → wan-wires → wan-balancers → backend/);
  await page.context().close();
});

test("in pictures no text leaves its box", async () => {
  const page = await open();
  const out = await page.evaluate(() => [...document.querySelectorAll(".node")].flatMap((node) => {
    const box = [...node.querySelectorAll(":scope > rect")].at(-1).getBBox();
    return [...node.querySelectorAll("text")].filter((one) => one.getBBox().x + one.getBBox().width > box.x + box.width).map((one) => one.textContent);
  }));
  assert.deepEqual(out, []);
  await page.context().close();
});

test("on paper everything is there, within the sheet, and dark on white", async () => {
  const page = await open({ colorScheme: "dark", viewport: { ...WIDE, width: 688 } });  // A4 without its margins
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const hidden = await page.evaluate(() => [...document.querySelectorAll("main *")].filter((one) => getComputedStyle(one).display === "none" && !one.closest("svg")).length);
  assert.equal(hidden, 0);
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), "rgb(255, 255, 255)");
  const out = await page.evaluate(() => [...document.querySelectorAll("main table, main svg.picture")].filter((one) => one.getBoundingClientRect().right > 689).map((one) => one.textContent.slice(0, 60)));
  assert.deepEqual(out, []);
  const paper = await page.pdf({ format: "A4", path: path.join(shots, "report.pdf"), printBackground: true });
  assert.ok(paper.subarray(0, 5).equals(Buffer.from("%PDF-")) && paper.length > 100000);
  await page.context().close();
});
