// What others see: the same record as everybody has it, beside the unprotected control; and a copy that was changed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Home, PHONE, accessibilityProblems, assertCalm, openBrowser, openPage, shoot, until } from "./harness.mjs";

let home;
let browser;
let url;

before(async () => {
  [home, browser] = await Promise.all([Home.begin("others_stack.py"), openBrowser()]);
  await home.do("device", { name: "living-room", kind: "temperature", options: ["--interval", "0.4"] });
  await home.do("pair");
  await home.do("control");
  ({ url } = await home.do("serve"));
});

after(async () => {
  await browser?.close();
  await home?.end();
});

const ROWS = ["A relay on the way", "A load balancer on the way", "The gateway's disk", "The cloud operator's disk",
  "The cloud operator, with the keystore"];
const row = (page, title) => page.locator("li.holder", { has: page.getByRole("heading", { name: title, exact: true }) });
const ours = (page, title) => row(page, title).getByRole("group", { name: title, exact: true });
const control = (page, title) => row(page, title).getByRole("group", { name: `CONTROL: ${title}`, exact: true });

/** The text columns of all its dumps, whole. */
async function allText(row) {
  for (const more of await row.getByRole("button", { name: /^Show / }).all()) if (await more.isVisible()) await more.click();
  return (await row.locator(".dump .text").allTextContents()).join("");
}

async function openView(options) {
  const page = await openPage(browser, url, options);
  await page.goto(new URL("/#/others", url).href);
  await page.getByRole("heading", { name: "What others see" }).waitFor();
  return page;
}

/** A reading of the living room that is held, with every row there. */
async function hold(page) {
  await page.getByLabel("Whose reading").selectOption({ label: "living-room" });
  await page.locator("section.owner", { hasText: "living-room" }).waitFor();
  await ours(page, "The gateway's disk").locator("article.copy[data-tone=live]").first().waitFor();
  await page.getByRole("button", { name: "Hold this one" }).click();
  await page.getByText(/^stays at one record/).waitFor();
}

test("every holder has the record whose digest the owner's app opened, and none shows what it says", async () => {
  const page = await openView();
  await hold(page);
  for (const title of ROWS.filter((one) => !["A relay on the way", "The cloud operator's disk"].includes(one))) {
    const copy = ours(page, title).locator("article.copy").first();
    await copy.getByText("byte for byte what your app opened").waitFor();
    assert.match(await copy.locator("dl.outer").textContent(), /topictelemetry\/[0-9a-f]{32}/, title);
    for (const region of ["Protected header", "Key id", "Partial IV", "Ciphertext", "Tag"]) await copy.getByText(region, { exact: true }).waitFor();
    assert.match(await copy.locator(".entropy").textContent(), /bits a byte over \d+ bytes of ciphertext; random bytes of that number show/);
    assert.doesNotMatch(await copy.locator(".dump").textContent(), /temperature|Cel/, title);
  }
  // The disk of the operator alone shows not even the outer fields; the relay, TLS records.
  const disk = ours(page, "The cloud operator's disk").locator("article.copy").first();
  await disk.getByText("no outer fields to be seen").waitFor();
  assert.equal(await disk.locator("dl.outer").count(), 0);
  await ours(page, "A relay on the way").getByText("a TLS record: what is in it only its two ends know").first().waitFor();
  // What the owner sees is there in words.
  assert.match(await page.locator(".owner-values").textContent(), /Temperature -?\d+\.\d °C/);
  await shoot(page, "others-wide-light");
  assertCalm(page);
  await page.context().close();
});

test("the planted text is in no row of the home whose sealing is on", async () => {
  const page = await openView();
  await page.getByLabel("Whose reading").selectOption({ label: "planted" });
  await page.locator("section.owner", { hasText: "planted" }).waitFor();
  await ours(page, "The gateway's disk").locator("article.copy[data-tone=live]").first().waitFor();
  await page.getByRole("button", { name: "Hold this one" }).click();
  await page.getByText(/^stays at one record/).waitFor();
  for (const title of ROWS) {
    const row = ours(page, title);
    await row.locator("article.copy").first().waitFor();
    const shown = await allText(row);
    assert.ok(shown.length > 60, title);
    assert.doesNotMatch(shown, /canary/, title);
  }
  assertCalm(page);
  await page.context().close();
});

test("the control shows in plain text what is sealed beside it", async () => {
  const page = await openView();
  await hold(page);
  for (const title of ROWS.filter((one) => one !== "A relay on the way")) {
    await control(page, title).getByText("CONTROL · the same product", { exact: false }).waitFor();
    assert.match(await allText(control(page, title)), /observed-canary-5d21/, title);
  }
  assertCalm(page);
  await page.context().close();
});

test("a copy that was changed on the way is shown as changed, with its bytes marked", async () => {
  const page = await openView();
  await page.goto(new URL("/#/attack", url).href);
  const hop = page.locator("li.hop", { has: page.getByRole("heading", { name: "backend-app", exact: true }), hasText: "balancer" });
  await hop.getByRole("button", { name: "Change the ciphertext" }).click();
  const story = page.locator("li.story", { hasText: "Change the ciphertext" }).first();
  await story.locator("li[data-tone=live]", { hasText: "Noticed by your app" }).waitFor();
  const attack = Number(/attack (\d+)/.exec(await story.textContent())[1]);
  const [injection] = (await home.do("injected", { attack })).injections;
  const hex = (text) => Buffer.from(text, "base64").toString("hex");
  const place = { topic: injection.topic, sender: hex(injection.sender), epoch: Number(injection.epoch), stream: hex(injection.stream),
    sequence: Number(injection.sequence) };

  // The view shows readings that opened; this one did not, so it is asked for by its place.
  await page.goto(new URL(`/#/others/${Object.values(place).join(",")}`, url).href);
  const balancer = ours(page, "A load balancer on the way");
  const sent = balancer.locator("article.copy[data-form=sent]");
  await sent.getByText(`changed by attack ${attack}`).waitFor();
  assert.match(await sent.textContent(), new RegExp(hex(injection.injected_sha256)));
  const marked = await sent.locator(".dump .hex mark").allTextContents();
  assert.equal(marked.length, 1, "one bit was flipped");
  await sent.getByText("1 byte differs from what came in").waitFor();
  assert.match(await balancer.locator("article.copy[data-form=passed]").first().textContent(), new RegExp(hex(injection.original_sha256)));
  assert.match(await ours(page, "The cloud operator, with the keystore").textContent(), new RegExp(hex(injection.original_sha256)));
  await sent.scrollIntoViewIfNeeded();
  await shoot(page, "others-altered");
  assertCalm(page);
  await page.context().close();
});

test("nobody is kept out: axe-core finds no serious problem, light and dark, wide and on a phone", async () => {
  for (const [name, options] of Object.entries({ "wide-dark": { colorScheme: "dark" }, "phone-light": { viewport: PHONE },
    "phone-dark": { viewport: PHONE, colorScheme: "dark" } })) {
    const page = await openView(options);
    await hold(page);
    assert.deepEqual(await accessibilityProblems(page), [], `others, ${name}`);
    await shoot(page, `others-${name}`);
    await until(page, () => document.documentElement.scrollWidth <= innerWidth);
    assertCalm(page);
    await page.context().close();
  }
});

test("a control that does not run is said to be away, and how it is started", async () => {
  const page = await openView();
  await ours(page, "The gateway's disk").locator("article.copy").first().waitFor();
  const note = page.getByText(/^The unprotected control is not shown: control's gateway: nobody answers at .* docker compose --profile control up/);
  assert.equal(await note.isVisible(), false);
  await home.do("end_control");
  await note.waitFor();
  assertCalm(page);
  await page.context().close();
});
