// Not a test: takes the picture that the README shows. `node screenshot.mjs FILE.png`, with KEYSTEAD_BIN_DIR.

import { Home, openBrowser, openPage } from "./harness.mjs";

const file = process.argv[2];
if (file === undefined) throw new Error("usage: node screenshot.mjs FILE.png");
const home = await Home.begin("others_stack.py");
const browser = await openBrowser();
try {
  await home.do("device", { name: "living-room", kind: "temperature", options: ["--interval", "0.4"] });
  await home.do("pair");
  await home.do("control");
  const { url } = await home.do("serve");
  const page = await openPage(browser, url, { viewport: { width: 1280, height: 960 } });
  await page.goto(new URL("/#/others", url).href);
  await page.getByLabel("Whose reading").selectOption({ label: "planted" });
  const row = page.locator("li.holder", { has: page.getByRole("heading", { name: "The gateway's disk", exact: true }) });
  await row.locator("article.copy[data-tone=live]").first().waitFor();
  await row.locator(".side.control article.copy").first().waitFor();
  await page.getByRole("button", { name: "Hold this one" }).click();
  await page.getByText(/^stays at one record/).waitFor();
  // One of the five rows, so that it is legible; the others are there when one opens the page.
  await page.evaluate((title) => {
    for (const other of document.querySelectorAll("li.holder")) other.hidden = other.querySelector("h2").textContent !== title;
  }, "The gateway's disk");
  await page.screenshot({ path: file, animations: "disabled" });
} finally {
  await browser.close();
  await home.end();
}
