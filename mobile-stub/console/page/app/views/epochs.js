// The chain of commits as a picture: each epoch holds the hash of the one before, so that none can be changed, left out
// or put in without the next one showing it.

import { h, keyed } from "../dom.js";
import { shortId } from "../words.js";

const date = (seconds) => new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

function changesOf(epoch) {
  const names = (members) => members.map((member) => member.device).join(", ");
  const out = [];
  if (epoch.added.length > 0) out.push(h("li", { class: "added" }, `joined: ${names(epoch.added)}`));
  if (epoch.removed.length > 0) out.push(h("li", { class: "removed" }, `removed: ${names(epoch.removed)}`));
  return out.length > 0 ? out : [h("li", {}, "new keys, the same members")];
}

function block(epoch) {
  return h("li", { class: "block" },
    h("div", { class: "epoch" }, h("b", {}, `Epoch ${epoch.epoch}`), h("span", {}, epoch.members === 1 ? "1 member" : `${epoch.members} members`)),
    h("ul", {}, changesOf(epoch)),
    h("p", { class: "hashes" }, h("span", { title: epoch.hash }, `hash ${shortId(epoch.hash)}`),
      h("span", { title: epoch.parent ?? "" }, epoch.parent === null ? "the first" : `after ${shortId(epoch.parent)}`)),
    h("time", { datetime: new Date(epoch.time * 1000).toISOString() }, date(epoch.time)));
}

export function epochChain(model) {
  const chain = h("ol", { class: "chain", tabindex: "0", "aria-label": "Epochs, the newest last" });
  const element = h("section", { class: "epochs", "aria-labelledby": "epochs-title" },
    h("h2", { id: "epochs-title" }, "Epochs"),
    h("p", {}, "Every change of who belongs is signed by the owner, gives everybody new keys, and names the change before it."),
    chain);
  const draw = () => {
    const epochs = model.membership?.epochs ?? [];
    element.hidden = epochs.length === 0;
    const before = chain.childElementCount;
    keyed(chain, epochs, (epoch) => epoch.hash, block);
    if (chain.childElementCount !== before) chain.scrollLeft = chain.scrollWidth;  // the newest is at the right
  };
  return { element, draw };
}
