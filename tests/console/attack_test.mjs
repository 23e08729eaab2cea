// Attack: buttons for what equipment can do, what became of each, and who noticed; and what the views say when nothing is connected.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Home, PHONE, accessibilityProblems, assertCalm, assertFits, openBrowser, openPage, shoot } from "./harness.mjs";

let home;
let browser;
let url;

before(async () => {
  [home, browser] = await Promise.all([Home.begin("others_stack.py"), openBrowser()]);
  await home.do("device", { name: "living-room", kind: "temperature", options: ["--interval", "0.2"] });
  await home.do("pair");
  ({ url } = await home.do("serve"));
});

after(async () => {
  await browser?.close();
  await home?.end();
});

async function openView(options, address = url) {
  const page = await openPage(browser, address, options);
  await page.goto(new URL("/#/attack", address).href);
  await page.getByRole("heading", { name: "Attack", exact: true }).waitFor();
  return page;
}

const hop = (page, name, form) => page.locator("li.hop", { has: page.getByRole("heading", { name, exact: true }), hasText: form });
const story = (page, says) => page.locator("li.story", { has: page.getByText(says, { exact: true }) }).first();

test("a changed record is noticed by the app at exactly its place, and the alarm stands in the timeline", async () => {
  const page = await openView();
  await hop(page, "backend-app", "balancer").getByRole("button", { name: "Change the tag" }).click();
  const told = story(page, "Change the tag");
  await told.getByText(/^(armed, )?injected 1$/).waitFor(); // the badge; "Injected 10:10:43 into" is the sentence below it
  const end = told.locator("li[data-tone=live]");
  await end.getByText(/^Noticed by your app at \d\d:\d\d:\d\d: A record was changed, or moved from where it belongs/).waitFor();
  const [, sequence] = /record (\d+) of stream/.exec(await end.textContent());
  const alarm = page.locator(".alarms li", { hasText: "A record was changed, or moved from where it belongs" }).first();
  await alarm.getByText("Details").click();
  assert.match(await alarm.locator("dl").textContent(), new RegExp(`sequence${sequence}(?!\\d)`));
  await shoot(page, "attack-noticed");
  assertCalm(page);
  await page.context().close();
});

test("what the next hop refuses is told with who refused it", async () => {
  const page = await openView();
  await hop(page, "gateway-backend", "balancer").getByRole("button", { name: "Change the tenant" }).click();
  await story(page, "Change the tenant").getByText(/^Refused by spiffe:\/\/provider-one\.example\/service\/backend/).waitFor();
  assertCalm(page);
  await page.context().close();
});

test("what an honest network may do as well has no effect, and the page says so", async () => {
  const page = await openView();
  await hop(page, "backend-app", "balancer").getByRole("button", { name: "Send it twice" }).click();
  await story(page, "Send it twice").getByText(/taken once|came once, in its place/).waitFor();
  assertCalm(page);
  await page.context().close();
});

test("a relay that has no certificate ends the connection, and no more", async () => {
  const page = await openView();
  await hop(page, "backend-app", "relay").getByRole("button", { name: "Flip one bit" }).click();
  await story(page, "Flip one bit").getByText(/^The connection ended at \d\d:\d\d:\d\d: TLS takes no such record/).waitFor();
  // And the home goes on.
  await page.goto(new URL("/#/home", url).href);
  await page.locator(".device .badge.live").first().waitFor();
  assertCalm(page);
  await page.context().close();
});

test("who only looks finds nothing, and says what it looked for", async () => {
  const page = await openView();
  await hop(page, "backend-app", "balancer").getByRole("button", { name: "Look for meaning in it" }).click();
  await story(page, "Look for meaning in it").getByText(/^It found nothing that it could read/).waitFor();
  assertCalm(page);
  await page.context().close();
});

test("what would be a failure is told as one", async () => {
  const page = await openView();
  const sha = (digit) => digit.repeat(64);
  const injection = { at_us: 1, listener: "front", direction: "up", topic: "telemetry/00", sender: "", stream: "", epoch: 1, sequence: 1,
    original_sha256: sha("a"), injected_sha256: sha("b"), detail: "", ended_us: 0, refused_code: 0, refused_reason: "", opened_sha256: sha("b"), notices: [] };
  const attack = { equipment: "box", attack: 1, kind: "modify", target: "cose_tag", listener: "front", topic_prefix: "telemetry/", count: 1,
    armed_us: 1, armed: false, injected: 1, injections: [injection] };
  const report = { equipment: [], attacks: [attack, { ...attack, attack: 2, kind: "read", target: "",
    injections: [{ ...injection, opened_sha256: sha("a"), injected_sha256: sha("a"), detail: "canary 0 as raw" }] }] };
  await page.route("**/api/v1/attacks", (route) => route.fulfill({ json: report }));
  await page.locator("li.story li[data-tone=warn]", { hasText: "It was BELIEVED" }).waitFor();
  await page.locator("li.story li[data-tone=warn]", { hasText: "It READ what was planted" }).waitFor();
  assertCalm(page);
  await page.context().close();
});

test("what waits for a record is disarmed with one button", async () => {
  const page = await openView();
  const card = hop(page, "gateway-backend", "balancer");
  await card.getByRole("combobox").selectOption({ label: "commands" });
  await card.getByRole("button", { name: "Swallow it", exact: true }).click();
  const told = story(page, "Swallow it");
  await told.getByText("armed: waits for a record").waitFor();
  await page.getByRole("button", { name: "Disarm all" }).click();
  await told.getByText("disarmed: nothing was attacked").waitFor();
  assertCalm(page);
  await page.context().close();
});

test("nobody is kept out: axe-core finds no serious problem, light and dark, wide and on a phone", async () => {
  for (const [name, options] of Object.entries({ "wide-light": {}, "wide-dark": { colorScheme: "dark" }, "phone-light": { viewport: PHONE },
    "phone-dark": { viewport: PHONE, colorScheme: "dark" } })) {
    const page = await openView(options);
    await hop(page, "gateway-backend", "relay").waitFor();
    assert.deepEqual(await accessibilityProblems(page), [], `attack, ${name}`);
    await assertFits(page, `attack, ${name}`);
    await shoot(page, `attack-${name}`);
    assertCalm(page);
    await page.context().close();
  }
});

test("equipment that is away is said to be away", async () => {
  const page = await openView();
  await hop(page, "gateway-backend", "relay").waitFor();
  await home.do("end_equipment");
  await page.getByText(/^relay of the WAN: nobody answers at /).waitFor();
  await page.goto(new URL("/#/others", url).href);
  await page.getByText(/relay of the WAN: nobody answers at /).first().waitFor();
  assertCalm(page);
  await page.context().close();
});

test("with nothing connected the views say how to connect it, and have no dead button", async () => {
  await home.do("terminate", { name: "console" });
  const { url: alone } = await home.do("serve_alone");
  const page = await openView({}, alone);
  await page.getByText(/^Not connected: nothing here can attack\. Start keystead-infra-sim with --control-listen/).waitFor();
  assert.equal(await page.locator("main button:visible").count(), 0);
  await shoot(page, "attack-not-connected");
  await page.goto(new URL("/#/others", alone).href);
  assert.equal(await page.getByText(/^Not connected\. Start /).count(), 5);
  await shoot(page, "others-not-connected");
  assertCalm(page);
  await page.context().close();
});
