// Home: values as they come, commands with their signed answers, and what happens when something goes away.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Home, PHONE, accessibilityProblems, answerWith, assertCalm, assertFits, card, channel, openBrowser, openPage, shoot, until } from "./harness.mjs";

let home;
let browser;
let url;

before(async () => {
  [home, browser] = await Promise.all([Home.begin(), openBrowser()]);
  await home.do("found");
  await home.do("device", { name: "kitchen-bulb", kind: "lightbulb" });
  await home.do("device", { name: "living-room", kind: "temperature", options: ["--interval", "0.2"] });
  await home.do("device", { name: "cuff", kind: "blood-pressure", options: ["--interval", "1"] });
  await home.do("device", { name: "orchid", kind: "soil-moisture", options: ["--interval", "3"] });
  await home.do("pair");
  ({ url } = await home.do("serve"));
});

after(async () => {
  await browser?.close();
  await home?.end();
});

test("live values of a real home appear and move", async () => {
  const page = await openPage(browser, url);
  const row = channel(page, "living-room", "Temperature");
  await row.locator(".badge.live").waitFor();
  await channel(page, "orchid", "Soil moisture").locator(".badge.confirmed").waitFor();
  const first = await row.locator(".value").textContent();
  assert.match(first, /^-?\d+\.\d$/);
  const taken = await row.getAttribute("data-taken");
  await until(page, ([name, before]) => {
    const one = [...document.querySelectorAll("article.device")].find((each) => each.querySelector("h2").textContent === name);
    const latest = one.querySelector(".channel").dataset.taken;
    return BigInt(latest) > BigInt(before) && / over the last \d+ s$/.test(one.querySelector(".range").textContent);
  }, ["living-room", taken]);
  assert.equal(await page.getByRole("status").filter({ hasText: "Connected" }).count(), 1);
  assertCalm(page);
  await page.context().close();
});

test("a bulb is switched, and its own signed answer is shown", async () => {
  const page = await openPage(browser, url);
  const bulb = card(page, "kitchen-bulb");
  const button = bulb.getByRole("switch");
  await bulb.locator(".badge.live").first().waitFor();
  const was = await button.getAttribute("aria-checked");
  await button.click();
  const answer = bulb.locator(".answer[data-state=confirmed]");
  await answer.waitFor();
  const said = await answer.textContent();
  assert.match(said, new RegExp(`^${was === "true" ? "off" : "on"}: Done`));
  assert.match(said, /command \d+ \([0-9a-f]{8}\), answer signed by kitchen-bulb \([0-9a-f]{8}\), \d+ ms/);
  // What the switch shows is the bulb's own reading, which follows.
  await until(page, ([name, before]) => {
    const one = [...document.querySelectorAll("article.device")].find((each) => each.querySelector("h2").textContent === name);
    return one.querySelector(".switch").getAttribute("aria-checked") !== before;
  }, ["kitchen-bulb", was]);
  if (was === "true") {
    await button.click();
    await bulb.locator(".answer", { hasText: "on: Done" }).waitFor();
  }
  await bulb.getByRole("slider").fill("40");
  await bulb.locator(".answer[data-state=confirmed]", { hasText: "brightness 40: Done" }).waitFor();
  await channel(page, "kitchen-bulb", "Brightness").locator(".value", { hasText: "40" }).waitFor();
  await shoot(page, "home-wide-light");
  assertCalm(page);
  await page.context().close();
});

test("the session stays over a reload, and is in no address", async () => {
  const page = await openPage(browser, url);
  await channel(page, "living-room", "Temperature").locator(".value").waitFor();
  assert.ok(!page.url().includes("token"), page.url());
  await page.reload();
  await channel(page, "living-room", "Temperature").locator(".badge.live").waitFor();
  await page.goto(new URL("/#/members", url).href);
  await page.getByRole("heading", { name: "Members and keys" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Home", exact: true }).waitFor();
  assertCalm(page);
  await page.context().close();
});

test("without the session's token the page says what to do", async () => {
  const page = await openPage(browser, new URL("/", url).href);
  await page.getByRole("heading", { name: "This console is locked" }).waitFor();
  await shoot(page, "locked");
  assert.deepEqual(await accessibilityProblems(page), []);
  assertCalm(page);
  const wrong = await openPage(browser, url.replace(/[0-9a-f]{64}$/, "0".repeat(64)));
  wrong.expected.push(/401/);
  await wrong.getByRole("heading", { name: "This console is locked" }).waitFor();
  // The right address, pasted into the same tab, opens it.
  await wrong.evaluate((hash) => { location.hash = hash; }, new URL(url).hash);
  await channel(wrong, "living-room", "Temperature").locator(".value").waitFor();
  assertCalm(wrong);
  await page.context().close();
  await wrong.context().close();
});

test("nobody is kept out: axe-core finds no serious problem, light and dark, wide and on a phone", async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [undefined, PHONE]) {
      const page = await openPage(browser, url, { colorScheme, viewport });
      await channel(page, "living-room", "Temperature").locator(".badge.live").waitFor();
      await card(page, "orchid").locator(".value").waitFor();
      assert.deepEqual(await accessibilityProblems(page), [], `home, ${colorScheme}`);
      const name = `${viewport === undefined ? "wide" : "phone"}-${colorScheme}`;
      if (name !== "wide-light") await shoot(page, `home-${name}`);
      await page.getByRole("link", { name: "Members and keys" }).click();
      await page.getByRole("heading", { name: "Epochs" }).waitFor();
      assert.deepEqual(await accessibilityProblems(page), [], `members, ${colorScheme}`);
      await shoot(page, `members-${name}`);
      assertCalm(page);
      await page.context().close();
    }
  }
});

test("on a phone nothing is wider than the screen, and what is touched is large enough", async () => {
  const page = await openPage(browser, url, { viewport: PHONE });
  await channel(page, "living-room", "Temperature").locator(".value").waitFor();
  for (const view of ["Home", "Members and keys"]) {
    await page.getByRole("link", { name: view }).click();
    await page.getByRole("heading", { name: view, exact: true }).waitFor();
    await assertFits(page, view);
    const small = await page.locator("button:visible, a.button:visible, nav a:visible, .glossary summary:visible").evaluateAll((all) =>
      all.map((one) => [one.textContent, one.getBoundingClientRect()]).filter(([, box]) => box.height < 36 || box.width < 36)
        .map(([text, box]) => `${text}: ${box.width} by ${box.height}`));
    assert.deepEqual(small, []);
  }
  await page.context().close();
});

test("all can be reached and done by keyboard", async () => {
  const page = await openPage(browser, url);
  await card(page, "kitchen-bulb").locator(".badge.live").first().waitFor();
  const reached = new Set();
  for (let i = 0; i < 12; ++i) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.getAttribute("role") ?? ""}`.trim()));
  }
  for (const wanted of ["A", "BUTTON switch", "INPUT", "DIV log"]) assert.ok(reached.has(wanted), `${wanted} among ${[...reached]}`);
  await page.context().close();
});

test("what the words on the cards mean stands on the page, by keyboard and by touch, and no word is left out", async () => {
  const page = await openPage(browser, url);
  await channel(page, "living-room", "Temperature").locator(".badge.live").waitFor();
  const question = page.locator("summary", { hasText: "What do these words mean?" });
  const reached = () => question.evaluate((one) => one === document.activeElement);
  for (let i = 0; i < 24 && !(await reached()); ++i) await page.keyboard.press("Tab");
  assert.ok(await reached(), "the question is reached by keyboard");
  await question.press("Enter");
  const terms = page.locator(".glossary dt");
  await terms.first().waitFor({ state: "visible" });
  const said = await terms.allTextContents();
  for (const word of ["live", "late", "history", "confirmed", "pending", "missing 4..9"]) assert.ok(said.includes(word), `${word} among ${said}`);
  for (const meaning of await page.locator(".glossary dd").allTextContents()) assert.match(meaning, /^[A-Z].{30,}\.$/);
  for (const shown of await page.locator(".device .badge").allTextContents()) assert.ok(said.includes(shown), `${shown} among ${said}`);
  assert.deepEqual(await accessibilityProblems(page), []);
  await shoot(page, "home-words");
  assertCalm(page);
  await page.context().close();

  const phone = await openPage(browser, url, { viewport: PHONE, hasTouch: true });
  await phone.locator("summary", { hasText: "What do these words mean?" }).tap();
  await phone.locator(".glossary dt").first().waitFor({ state: "visible" });
  await assertFits(phone, "the words");
  await phone.context().close();
});

test("whom the console cannot reach is called what its owner calls it", async () => {
  const page = await openPage(browser, url);
  const step = await page.evaluate(async () => {
    const answer = await fetch("/api/v1/home", { headers: { Authorization: `Bearer ${sessionStorage.getItem("keystead-session")}` } });
    return answer.json();
  });
  await page.context().close();
  assert.equal(step.home.next_hop, "cloud");
  for (const [next_hop, short, sentence] of [["cloud", "Cloud is away", "The cloud cannot be reached; last word"],
    ["gateway", "Gateway is away", "Your home's gateway cannot be reached; last word"]]) {
    const told = { ...step, home: { ...step.home, next_hop }, connection: { connected: false, why: "", since_us: 1 } };
    const away = await openPage(browser, url, { prepare: answerWith, given: { "/api/v1/events": told } });
    await away.getByRole("status").filter({ hasText: short }).waitFor();
    await away.getByRole("alert").filter({ hasText: sentence }).waitFor();
    assertCalm(away);
    await away.context().close();
  }
});

test("the backend goes away and comes back", async () => {
  const page = await openPage(browser, url);
  const value = channel(page, "living-room", "Temperature");
  await value.locator(".badge.live").waitFor();
  await home.do("kill", { name: "backend" });
  const banner = page.getByRole("alert").filter({ hasText: "The cloud cannot be reached; last word" });
  await banner.waitFor();
  await page.getByRole("status").filter({ hasText: "Cloud is away" }).waitFor();
  await until(page, () => / s ago\./.test(document.getElementById("banner").textContent));
  await shoot(page, "backend-away");
  await home.do("relaunch", { name: "backend" });
  await page.getByRole("status").filter({ hasText: "Connected" }).waitFor();
  await banner.waitFor({ state: "hidden" });
  await until(page, () => [...document.querySelectorAll("article.device")]
    .some((each) => each.querySelector("h2").textContent === "living-room" && each.querySelector(".age").textContent === "just now"));
  assertCalm(page);
  await page.context().close();
});

test("the console itself goes away and comes back: another token, and the page says so", async () => {
  const page = await openPage(browser, url);
  await channel(page, "living-room", "Temperature").locator(".badge.live").waitFor();
  page.expected.push(/ERR_|Failed to load resource/);
  const { code, errors } = await home.do("terminate", { name: "console" });
  assert.equal(code, 0, errors);
  await page.getByRole("alert").filter({ hasText: "lost the console" }).waitFor();
  ({ url } = await home.do("relaunch", { name: "console" }));
  const fresh = await openPage(browser, url);
  await channel(fresh, "living-room", "Temperature").locator(".badge.live").waitFor();
  assertCalm(fresh);
  await page.context().close();
  await fresh.context().close();
});
