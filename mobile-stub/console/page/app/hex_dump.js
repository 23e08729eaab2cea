// Bytes as people look at them: offset, hex, text; regions by colour and by name, changed bytes marked.

import { h, setText } from "./dom.js";
import { REGIONS, UNSEALED } from "./sealed.js";

const WIDTH = 16;
const LINES = 16;  // shown at first
const MOST = 64;  // of them, also where more of it was changed

const printable = (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·");
const pad = (text, size) => text.padEnd(size, " ");

/** [{begin, end, name, changed}] of one line: what lies together and looks alike. */
function runs(begin, end, regionAt, changed) {
  const out = [];
  for (let i = begin; i < end; ++i) {
    const last = out.at(-1);
    if (last !== undefined && last.name === regionAt(i) && last.changed === changed[i]) last.end = i + 1;
    else out.push({ begin: i, end: i + 1, name: regionAt(i), changed: changed[i] ?? false });
  }
  return out;
}

function spans(bytes, parts, textOf, between) {
  return parts.map((part, at) => {
    const text = Array.from(bytes.subarray(part.begin, part.end), textOf).join(between) + (at + 1 < parts.length ? between : "");
    const tag = part.changed ? "mark" : "span";
    return h(tag, { class: part.changed || part.name === null ? null : `region ${part.name}` }, text);
  });
}

function line(bytes, begin, regionAt, changed) {
  const end = Math.min(bytes.length, begin + WIDTH);
  const parts = runs(begin, end, regionAt, changed);
  const gap = pad("", 3 * (WIDTH - (end - begin)));
  return h("div", { class: "line" }, h("span", { class: "offset" }, begin.toString(16).padStart(4, "0")),
    h("span", { class: "hex" }, spans(bytes, parts, (byte) => byte.toString(16).padStart(2, "0"), " "), gap),
    h("span", { class: "text" }, spans(bytes, parts, printable, "")));
}

/** `regions`: as regionsOf says, or null; `changed`: as changedBytes says, or []; `size`: of the whole, when `bytes` is cut off. */
export function hexDump(bytes, { label, regions = null, changed = [], size = bytes.length }) {
  const regionAt = (i) => regions?.find((region) => i >= region.begin && i < region.end)?.name ?? null;
  const box = h("div", { class: "dump", role: "region", "aria-label": label, tabindex: "0" });
  const fill = (lines) => {
    box.replaceChildren();
    for (let i = 0; i < Math.min(lines * WIDTH, bytes.length); i += WIDTH) box.append(line(bytes, i, regionAt, changed));
  };
  const total = Math.ceil(bytes.length / WIDTH);
  // A changed byte is not out of sight, unless so much was changed that nobody would look for it.
  const first = Math.min(MOST, Math.max(LINES, Math.ceil((changed.lastIndexOf(true) + 1) / WIDTH)));
  fill(first);
  const more = h("button", { type: "button", class: "button quiet small", hidden: total <= first });
  setText(more, size > bytes.length ? `Show the first ${bytes.length} of ${size} bytes` : `Show all ${size} bytes`);
  more.addEventListener("click", () => {
    fill(total);
    more.hidden = true;
  });
  return h("div", { class: "bytes" }, box, more);
}

/** What the colours mean, for the regions that there are; `control`: in a build whose sealing is off. */
export function legend(regions, control) {
  const words = control ? { ...REGIONS, ...UNSEALED } : REGIONS;
  const names = [...new Set(regions.map((region) => region.name))];
  return h("ul", { class: "legend" }, names.map((name) => {
    const size = regions.filter((region) => region.name === name).reduce((sum, region) => sum + region.end - region.begin, 0);
    return h("li", {}, h("span", { class: `region ${name}` }, words[name].title), ` ${size} B · ${words[name].says}`);
  }));
}
