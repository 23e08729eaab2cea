// A state as a picture and a word: neither colour nor shape alone tells it.

import { h, icon } from "./dom.js";

export function badge(state, word, title) {
  return h("span", { class: `badge ${state}`, title }, icon(state), h("span", {}, word));
}

/** Makes what is in `element` that badge, and writes nothing when it is already. */
export function setBadge(element, state, word, title) {
  const key = `${state} ${word}`;
  if (element.dataset.state === key) return;
  element.dataset.state = key;
  element.replaceChildren(badge(state, word, title));
}
