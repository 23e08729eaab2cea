// Texts that others chose: names, kinds, units, reasons, bytes. Whatever stands in them is shown as it is, and does nothing.
// The answers are made from the description of the API, so that no text in it is forgotten.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { Home, PHONE, answerWith, assertCalm, assertFits, openBrowser, openPage, shoot, until } from "./harness.mjs";

const description = JSON.parse(fs.readFileSync(new URL("../../mobile-stub/console/openapi.json", import.meta.url), "utf8"));
const nowUs = Date.now() * 1000;

let home;
let browser;
let url;

before(async () => {
  [home, browser] = await Promise.all([Home.begin(), openBrowser()]);
  ({ url } = await home.do("serve"));
});

after(async () => {
  await browser?.close();
  await home?.end();
});

const OUTCOMES = { command: "CommandOutcome", pair: "PairOutcome", remove: "EpochOutcome", add_carrier: "EpochOutcome", withdraw: "WithdrawOutcome" };
// What must be so for anything to be seen.
const FACTS = { whole: true, reading: true, founded: true, can_found: true, connected: true, current: true, control: false, self: false, kind: undefined };

/** Answers as the API's description has them, every free text in them `text`. */
class Maker {
  #count = 0;
  constructor(text) {
    this.text = text;
  }

  named(name) {
    return this.value({ $ref: `#/components/schemas/${name}` }, name);
  }

  value(schema, name) {
    if (schema.$ref !== undefined) return this.value(description.components.schemas[schema.$ref.split("/").at(-1)], name);
    if (schema.oneOf !== undefined) return this.value(schema.oneOf[0], name);
    if (FACTS[name] !== undefined) return FACTS[name];
    if (schema.enum !== undefined) return schema.enum.at(-1);
    switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
      case "object": return this.#object(schema);
      case "array": return this.#array(schema, name);
      case "string": return this.#string(schema, name);
      case "boolean": return false;
      default: return name.endsWith("_us") ? nowUs : name === "time" ? nowUs / 1e6 : ++this.#count;
    }
  }

  #string(schema, name) {
    if (name === "bytes") return Buffer.from(this.text).toString("hex");
    if (schema.pattern !== undefined || name === "parent") return (++this.#count).toString(16).padStart(32, "0");
    return name === "id" ? `task-${++this.#count}` : this.text;
  }

  #object(schema) {
    const out = {};
    for (const [name, property] of Object.entries(schema.properties)) out[name] = this.value(property, name);
    if (out.outcome !== undefined) out.outcome = this.named(OUTCOMES[out.kind]);
    return out;
  }

  /** One item for each word that one of its enumerations has. */
  #array(schema, name) {
    if (name === "points" || schema.minItems === 2) return [[nowUs - 2e6, 1], [nowUs, 2]];
    const resolved = schema.items.$ref === undefined ? schema.items : description.components.schemas[schema.items.$ref.split("/").at(-1)];
    const items = [this.value(schema.items, name)];
    for (const [property, of] of Object.entries(resolved.properties ?? {})) {
      for (const word of of.enum ?? []) {
        const item = { ...this.value(schema.items, name), [property]: word };
        if (item.outcome !== undefined) item.outcome = this.named(OUTCOMES[item.kind]);
        items.push(item);
      }
    }
    return items;
  }
}

function answersWith(text) {
  const maker = new Maker(text);
  const step = maker.named("Changes");
  step.devices[0].kind = "lightbulb";  // with its controls, and a command that was answered
  step.tasks.push({ ...step.tasks.find((task) => task.kind === "command" && task.state === "done") ?? step.tasks[0], kind: "command", state: "done",
    id: "answered", member: step.devices[0].member, outcome: maker.named("CommandOutcome") });
  const attacks = maker.named("Attacks");
  attacks.attacks.push({ ...attacks.attacks[0], attack: 9001, injected: 1, injections: [{ ...maker.named("Injection"), refused_code: 0, ended_us: 0 }] });
  return { "/api/v1/events": step, "/api/v1/others": maker.named("Remotes"), "/api/v1/others/looks": maker.named("Look"), "/api/v1/attacks": attacks };
}

const VIEWS = { home: "Home", others: "What others see", attack: "Attack", members: "Members and keys" };

/** Each view with all of it opened. */
async function* viewsOf(text, options) {
  const page = await openPage(browser, url, { ...options, prepare: answerWith, given: answersWith(text) });
  for (const [path, title] of Object.entries(VIEWS)) {
    await page.goto(new URL(`/#/${path}`, url).href);
    await page.getByRole("heading", { name: title, exact: true }).waitFor();
    // By now each has been given what it shows.
    await until(page, ([one, wanted]) => document.querySelector("main").textContent.includes(wanted)
      && document.querySelectorAll({ home: ".device .value", others: ".copy", attack: ".story .end", members: ".member" }[one]).length > 0, [path, text]);
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
    yield [page, path];
  }
  await page.context().close();
}

const MARKUP = `<img src="x" onerror="globalThis.pwned = 1"><script>globalThis.pwned = 1</script><a href="javascript:pwned=1">"'&lt;`;

test("markup is text in every view, and nothing of it runs", async () => {
  for await (const [page, path] of viewsOf(MARKUP)) {
    await shoot(page, `hostile-${path}`);
    assert.equal(await page.locator("main img, main script").count(), 0, path);
    for (const address of await page.locator("a[href]").evaluateAll((all) => all.map((one) => one.getAttribute("href")))) assert.match(address, /^#/, path);
    assert.equal(await page.evaluate(() => globalThis.pwned), undefined, path);
    assertCalm(page);
  }
});

test("what every object has by itself is a name like any other", async () => {
  for (const name of ["constructor", "__proto__", "toString"]) {
    for await (const [page, path] of viewsOf(name)) {
      assert.doesNotMatch(await page.locator("main").textContent(), /native code|\[object/, `${name}, ${path}`);
      assertCalm(page);
    }
  }
});

test("a text without end pushes nothing off a phone's screen", async () => {
  for await (const [page, path] of viewsOf("x".repeat(400), { viewport: PHONE })) {
    await shoot(page, `hostile-long-${path}`);
    await assertFits(page, path);
    assertCalm(page);
  }
});
