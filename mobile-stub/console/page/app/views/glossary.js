// What the words on the cards mean, for whoever sees them for the first time. A tooltip would be for a mouse alone.

import { badge } from "../badge.js";
import { h, icon } from "../dom.js";
import { BELIEF, FLAGS, LIVENESS } from "../words.js";

const stateEntry = ([state, { word, meaning }]) => [h("dt", {}, badge(state, word)), h("dd", {}, meaning)];
const flagEntry = ([flag, meaning]) => {
  const waits = flag === "waiting";
  const numbers = flag === "missing" || flag === "lost" ? " 4..9" : "";
  return [h("dt", {}, h("span", { class: waits ? "flag wait" : "flag" }, icon(waits ? "wait" : "warn"), `${flag}${numbers}`)), h("dd", {}, meaning)];
};

export function glossary() {
  const states = [...Object.entries(LIVENESS), ...Object.entries(BELIEF)].flatMap(stateEntry);
  return h("details", { class: "glossary" }, h("summary", {}, "What do these words mean?"),
    h("div", { class: "card" }, h("dl", {}, states, Object.entries(FLAGS).flatMap(flagEntry))));
}
