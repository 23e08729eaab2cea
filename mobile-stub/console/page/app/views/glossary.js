// What the words on the cards mean, for whoever opens it.

import { h } from "../dom.js";
import { BELIEF, LIVENESS, MISSING } from "../words.js";
import { badge } from "./device_card.js";

export function glossary() {
  const entries = [...Object.entries(LIVENESS), ...Object.entries(BELIEF), ["warn", MISSING]];
  return h("details", { class: "glossary" }, h("summary", {}, "What do these words mean?"),
    h("dl", {}, entries.flatMap(([state, { word, meaning }]) => [h("dt", {}, badge(state, word, "")), h("dd", {}, `${meaning}.`)])));
}
