// Members and keys: a home is founded and joined from the page alone, by labels; and a member is removed.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { Home, assertCalm, channel, openBrowser, openPage, shoot } from "./harness.mjs";

let home;
let browser;
let url;
let recovery;

before(async () => {
  [home, browser] = await Promise.all([Home.begin(), openBrowser()]);
  ({ path: recovery } = await home.do("path", { name: "recovery-from-the-console" }));
  ({ url } = await home.do("serve", { options: ["--recovery-out", recovery] }));
});

after(async () => {
  await browser?.close();
  await home?.end();
});

async function join(page, label) {
  await page.getByLabel("Label", { exact: true }).fill(label);
  await page.getByRole("button", { name: "Join", exact: true }).click();
}

const memberCard = (page, device) => page.locator("li.member", { has: page.getByRole("heading", { name: device, exact: true }) });

test("before anything is paired the page says where to begin", async () => {
  const page = await openPage(browser, url);
  await page.getByText("No device is yours yet.").waitFor();
  await shoot(page, "home-empty");
  await page.getByRole("link", { name: "Join a device by its label" }).click();
  await page.getByText("This home has not been founded yet.").waitFor();
  await page.getByText("never on this page").waitFor();
  assertCalm(page);
  await page.context().close();
});

test("a mistyped label is refused with a sentence, and nothing is founded", async () => {
  const page = await openPage(browser, url);
  page.expected.push(/400/);
  await page.goto(new URL("/#/members", url).href);
  await join(page, "KS1:ABCDEF");
  await page.getByRole("alert").filter({ hasText: /label/i }).waitFor();
  assert.equal(fs.existsSync(recovery), false);
  assertCalm(page);
  await page.context().close();
});

test("gateway and device join by their pasted labels, and the first value appears", async () => {
  const page = await openPage(browser, url);
  await page.goto(new URL("/#/members", url).href);
  const gateway = await home.do("gateway_label");
  await join(page, gateway.label);
  await memberCard(page, "acme-gateway").waitFor();
  await page.locator(".task[data-state=done]", { hasText: "Joining acme-gateway" }).waitFor();
  assert.equal(await page.getByLabel("Label", { exact: true }).inputValue(), "", "a label is as secret as the code in it");
  // The recovery key is where it was said to be, for its owner alone, and nowhere in the page.
  const key = fs.readFileSync(recovery, "utf8").trim();
  assert.match(key, /^KSRK1:[0-9a-f]{64}$/);
  assert.equal(fs.statSync(recovery).mode & 0o777, 0o600);
  assert.ok(!(await page.content()).includes(key.slice(6)));

  const bulb = await home.do("device", { name: "bulb", kind: "lightbulb" });
  const garden = await home.do("device", { name: "garden", kind: "soil-moisture" });
  // Two at once, one as people type it.
  await join(page, `${bulb.label}\n${garden.label.toLowerCase().replace(/(.{30})/g, "$1 ")}`);
  await page.locator(".task[data-state=done]", { hasText: "Joining bulb, garden" }).waitFor();
  await memberCard(page, "bulb").getByText("writes its own state, its own telemetry").waitFor();
  await memberCard(page, "acme-gateway").getByText("reads nothing, writes nothing").waitFor();
  await page.locator(".block", { hasText: "joined: bulb, garden" }).or(page.locator(".block", { hasText: "joined: garden, bulb" })).waitFor();
  await shoot(page, "members-joined");
  await page.getByRole("link", { name: "Home", exact: true }).click();
  await channel(page, "bulb", "State").locator(".badge.live").waitFor();
  assertCalm(page);
  await page.context().close();
});

test("a member is removed after a question, and the chain shows it", async () => {
  const page = await openPage(browser, url);
  await page.goto(new URL("/#/members", url).href);
  await page.getByRole("button", { name: "Remove garden" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Remove garden?").waitFor();
  await shoot(page, "members-remove");
  await dialog.getByRole("button", { name: "Keep it" }).click();
  assert.equal(await memberCard(page, "garden").count(), 1);
  await page.getByRole("button", { name: "Remove garden" }).click();
  await dialog.getByRole("button", { name: "Remove it" }).click();
  await memberCard(page, "garden").waitFor({ state: "detached" });
  await page.locator(".block", { hasText: "removed: garden" }).waitFor();
  await page.locator(".task[data-state=done]", { hasText: "Removing garden" }).waitFor();
  assertCalm(page);
  await page.context().close();
});

test("a device that is not there is not joined, and the page says why", async () => {
  const page = await openPage(browser, url);
  await page.goto(new URL("/#/members", url).href);
  const shed = await home.do("device", { name: "shed", kind: "temperature" });
  await home.do("kill", { name: "shed" });
  await join(page, shed.label);
  await page.locator(".task", { hasText: "Joining shed" }).getByText("waiting for it to announce itself", { exact: false }).waitFor();
  await shoot(page, "members-joining");
  assertCalm(page);
  await page.context().close();
});
