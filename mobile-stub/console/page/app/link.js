// How near the truth this page is: its own link to the console, and the console's to whom it reads from.

import { h, icon, setAttribute } from "./dom.js";
import { ago } from "./words.js";

/** Whom the console is connected to, as its owner calls it. */
const HOPS = {
  gateway: { away: "Gateway is away", sentence: "Your home's gateway cannot be reached" },
  cloud: { away: "Cloud is away", sentence: "The cloud cannot be reached" },
};

function describe(model) {
  if (model.link === "lost") return ["cross", "bad", "Console is away"];
  if (model.link === "opening" || model.home === null) return ["wait", "dim", "Opening …"];
  if (!model.home.reading) return ["wait", "dim", "Nothing paired yet"];
  if (!model.connection.connected) return ["cross", "bad", HOPS[model.home.next_hop].away];
  return ["live", "good", "Connected"];
}

function warning(model) {
  const word = model.lastWordUs > 0 ? `last word ${ago(model.nowUs() - model.lastWordUs)}` : "nothing heard yet";
  if (model.link === "lost") {
    return `This page has lost the console it came from; what you see is as it was (${word}). It tries again by itself.`;
  }
  if (model.home?.reading && model.link === "open" && !model.connection.connected && model.connection.since_us > 0) {
    const late = model.nowUs() - model.connection.since_us > 1.5e6 || model.lastWordUs > 0;
    if (late) return `${HOPS[model.home.next_hop].sentence}; ${word}. Devices keep their readings and hand them over when it is back.`;
  }
  return "";
}

export function watchLink(model, pill, banner) {
  let shown = "";
  const draw = () => {
    const [picture, tone, text] = describe(model);
    if (shown !== text) {
      pill.replaceChildren(icon(picture), h("span", {}, text));
      setAttribute(pill, "data-tone", tone);
      shown = text;
    }
    const said = warning(model);
    banner.hidden = said === "";
    // The age in it changes every second: read aloud once, not each time.
    setAttribute(banner, "aria-live", banner.dataset.said === "yes" ? "off" : "assertive");
    if (banner.textContent !== said) banner.textContent = said;
    banner.dataset.said = said === "" ? "no" : "yes";
  };
  model.listen((changes) => {
    if (["link", "connection", "home"].some((part) => changes.parts.has(part))) draw();
  });
  setInterval(draw, 1000);
  draw();
}
