// One holder: its copies of the record, and beside them what the unprotected control shows there.

import { h, icon } from "../dom.js";
import { entropyText } from "../entropy.js";
import { hexDump, legend } from "../hex_dump.js";
import { bytesOf, changedBytes, regionsOf } from "../sealed.js";
import { clock, shortId } from "../words.js";

/** What a copy is held against: any copy whose digest is that of what the owner opened; where nothing was opened, what came in at the
    equipment that changed it. {bytes, sha256, is}; null when there is neither. */
function genuineOf(look, copy) {
  const all = look.holders.filter((holder) => !holder.control).flatMap((holder) => holder.copies);
  const opened = all.find((one) => look.opened_sha256 !== "" && one.sha256 === look.opened_sha256);
  const came = all.find((one) => one.form === "passed" && one.attack > 0 && (copy.attack === 0 || one.attack === copy.attack));
  const found = opened ?? came;
  return found === undefined ? null : { bytes: bytesOf(found.bytes), sha256: found.sha256, is: opened === undefined ? "what came in" : "what your app opened" };
}

/** In a word, and why: [picture, tone, text]. */
function verdict(copy, look, control, genuine) {
  if (control) return ["warn", "warn", "CONTROL: sealing switched off"];
  if (copy.form === "tls") return ["wait", "calm", "a TLS record: what is in it only its two ends know"];
  if (copy.form === "withheld") return ["cross", "warn", `withheld by attack ${copy.attack}: nothing went on`];
  if (copy.header === null) return ["key", "calm", "no outer fields to be seen"];
  if (look.opened_sha256 !== "" && copy.sha256 === look.opened_sha256) return ["confirmed", "live", "byte for byte what your app opened"];
  if (genuine === null) return ["wait", "calm", "nothing was opened at this place here"];
  if (copy.sha256 === genuine.sha256) return ["confirmed", "live", `byte for byte ${genuine.is}`];
  return ["warn", "warn", copy.form === "sent" ? `changed by attack ${copy.attack}` : `not ${genuine.is}`];
}

function whenText(copy) {
  if (copy.seen_us > 0) return `passed ${clock(copy.seen_us)}`;
  if (copy.not_before_us > 0 && copy.not_before_us === copy.not_after_us) return `passed ${clock(copy.not_before_us)}`;
  if (copy.not_before_us > 0) return `stored after ${clock(copy.not_before_us)}`;
  return copy.not_after_us > 0 ? `stored before ${clock(copy.not_after_us)}` : "";
}

function whereText(copy) {
  const parts = [copy.by];
  if (copy.listener) parts.push(`listener ${copy.listener}, ${copy.direction === "up" ? "towards the cloud" : "towards the reader"}`);
  if (copy.log_id) parts.push(`log ${shortId(copy.log_id)}, entry ${copy.offset}`);
  if (copy.form === "tls") parts.push(`record ${copy.number} of its connection`);
  return [...parts, whenText(copy), `${copy.size} bytes`].filter((part) => part !== "").join(" · ");
}

function outerFields(header) {
  const rows = [["tenant", header.tenant], ["home", shortId(header.instantiation)], ["topic", header.topic], ["sender", shortId(header.sender)],
    ["epoch", header.epoch], ["stream", shortId(header.stream)], ["sequence", header.sequence]];
  return h("dl", { class: "outer" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}

const FORMS = { passed: "As it came in", sent: "As it went on", disk: "As it lies there", keystore: "As decrypting leaves it",
  withheld: "Withheld", tls: "As it passed" };

/** What entropy is reckoned over: the sealed part, where it can be told from the rest. */
function entropyLine(bytes, regions, form, control) {
  const sealed = regions?.find((region) => region.name === "ciphertext");
  if (sealed !== undefined) return entropyText(bytes.subarray(sealed.begin, sealed.end), control ? "plain text" : "ciphertext");
  return entropyText(bytes, form === "tls" ? "the TLS record" : "what lies there");
}

function copyCard(copy, look, control) {
  const bytes = bytesOf(copy.bytes);
  const regions = copy.header === null ? null : regionsOf(bytes);
  const genuine = control || copy.header === null ? null : genuineOf(look, copy);
  const [picture, tone, text] = verdict(copy, look, control, genuine);
  const changed = genuine === null || copy.sha256 === genuine.sha256 ? [] : changedBytes(bytes, genuine.bytes);
  const count = changed.filter(Boolean).length;
  return h("article", { class: "copy", "data-tone": tone, "data-form": copy.form },
    h("header", {}, h("h3", {}, FORMS[copy.form]), h("span", { class: `badge ${tone}` }, icon(picture), text)),
    h("p", { class: "ids" }, whereText(copy)),
    copy.header === null ? null : outerFields(copy.header),
    bytes.length === 0 ? null : hexDump(bytes, { label: `Bytes ${FORMS[copy.form].toLowerCase()}, ${copy.by}`, regions, changed, size: copy.size }),
    count === 0 ? null : h("p", { class: "error" }, `${count} ${count === 1 ? "byte differs" : "bytes differ"} from ${genuine.is}`),
    regions === null ? null : legend(regions, control),
    bytes.length === 0 ? null : h("p", { class: "entropy" }, entropyLine(bytes, regions, copy.form, control)),
    h("p", { class: "ids" }, bytes.length === 0 ? "" : `SHA-256 ${copy.sha256}`));
}

function nothing(row) {
  if (row.troubles.length > 0) return h("p", { class: "note" }, icon("cross"), h("span", {}, row.troubles.join(". ")));
  if (row.asked) {
    return h("p", { class: "nothing" }, `Nobody who was asked shows this here. If it is to be seen: start ${row.connect}, and this console with --observe (mobile-stub/console/README.md, Use)`);
  }
  return h("p", { class: "nothing" }, `Not connected. Start ${row.connect}, and this console with --observe (mobile-stub/console/README.md, Use)`);
}

/** Draws the row anew when something in it is new: an open dump, a selection and a reader's place stay otherwise. */
export function holderRow(element, row, look) {
  const state = JSON.stringify([row.copies, row.control, row.troubles, row.asked, look.opened_sha256]);
  if (element.ksState === state) return;
  element.ksState = state;
  const control = row.control.length === 0 ? null
    : h("div", { class: "side control", role: "group", "aria-label": `CONTROL: ${row.title}` },
      h("p", { class: "control-mark" }, "CONTROL · the same product, built with its sealing switched off"),
      row.control.map((copy) => copyCard(copy, look, true)));
  element.replaceChildren(
    h("header", {}, h("h2", {}, row.title), h("p", { class: "summary" }, `has ${row.holds}`)),
    h("div", { class: control === null ? "sides" : "sides both" },
      h("div", { class: "side", role: "group", "aria-label": row.title }, row.copies.length === 0 ? nothing(row) : row.copies.map((copy) => copyCard(copy, look, false))),
      control));
}
