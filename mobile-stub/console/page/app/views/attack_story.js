// What became of each attack: armed, injected, refused by the next hop or noticed by the app, or without effect.

import { attackText } from "../attack_words.js";
import { h, icon, keyed } from "../dom.js";
import { alarmText, clock, shortId, wordIn } from "../words.js";
import { addressOf } from "./others.js";

const NOTICED = { missing: "Records are missing", duplicate: "The same record came twice, and was taken once" };
const HARMLESS = ["read", "delay", "reorder", "duplicate", "replay", "drop"];

/** What an eavesdropper says that it found: nothing, or that it was given nothing to look for, or what. */
function reading(detail) {
  if (detail === "no canary found") return { picture: "confirmed", tone: "live", text: "It found nothing that it could read", detail: "it looked for planted texts: raw, in hex, in base64" };
  if (detail === "no canary is configured") return { picture: "wait", tone: "calm", text: "It was given nothing to look for: this proves nothing", detail: "start the equipment with --canary" };
  return { picture: "warn", tone: "warn", text: "It READ what was planted", detail };
}

/** One injection: {picture, tone, text, detail}. `hops`: equipment and listener → who comes next. */
function outcome(injection, attack, hops) {
  if (attack.kind === "read") return reading(injection.detail);
  const opened = injection.opened_sha256;
  if (opened !== "" && opened === injection.injected_sha256 && opened !== injection.original_sha256) {
    return { picture: "warn", tone: "warn", text: "It was BELIEVED: what the equipment made was opened here", detail: `SHA-256 ${opened}` };
  }
  if (injection.refused_code > 0) {
    const by = hops.get(`${attack.equipment} ${injection.listener}`)?.join(", ") || "the next hop";
    return { picture: "confirmed", tone: "live", text: `Refused by ${by}`, detail: injection.refused_reason };
  }
  const alarm = injection.notices.find((notice) => notice.kind !== "duplicate") ?? injection.notices[0];
  if (alarm !== undefined) {
    return { picture: "confirmed", tone: "live", text: `Noticed by your app at ${clock(alarm.at_us)}: ${wordIn(NOTICED, alarm.kind) ?? alarmText(alarm.kind)}`,
      detail: alarm.detail };
  }
  if (opened !== "" && opened === injection.original_sha256) {
    const why = HARMLESS.includes(attack.kind) ? "the record came once, in its place" : "the genuine record came as well, and what was put there opened for nobody";
    return { picture: "confirmed", tone: "live", text: `Without effect: ${why}`, detail: "" };
  }
  if (injection.ended_us > 0) {
    const why = attack.kind === "delay" ? "" : ": TLS takes no such record";
    return { picture: "confirmed", tone: "live", text: `The connection ended at ${clock(injection.ended_us)}${why}`,
      detail: "what nobody had acknowledged on it is sent again on the next one" };
  }
  return { picture: "wait", tone: "pending", text: attack.topic_prefix === "tls" ? "Its connection still stands" : "Nobody has noticed yet", detail: "" };
}

function whatText(injection, names) {
  if (injection.stream === "") return `record ${injection.sequence} of the connection ${injection.direction === "up" ? "towards the cloud" : "towards the reader"}`;
  const who = names.get(injection.sender) ?? shortId(injection.sender);
  return `${injection.topic.split("/")[0]} of ${who}, record ${injection.sequence} of stream ${shortId(injection.stream)}`;
}

function injectionItem(injection, attack, hops, names) {
  const end = outcome(injection, attack, hops);
  return h("li", { "data-tone": end.tone },
    h("p", {}, h("span", { class: "step" }, attack.kind === "read" ? "Read" : "Injected"),
      ` ${injection.at_us > 0 ? `${clock(injection.at_us)} ` : ""}${attack.kind === "read" ? "" : "into "}${whatText(injection, names)}`,
      injection.detail === "" || attack.kind === "read" ? null : h("small", {}, ` (${injection.detail})`)),
    injection.stream === "" ? null : h("a", { class: "bytes-link", href: addressOf(injection) }, "See its bytes on the way"),
    h("p", { class: "end" }, icon(end.picture), h("span", {}, end.text, end.detail === "" ? null : h("small", {}, ` (${end.detail})`))));
}

function stateOf(attack) {
  if (attack.injected === 0) return attack.armed ? ["pending", "armed: waits for a record"] : ["", "disarmed: nothing was attacked"];
  const did = attack.kind === "read" ? "looked at" : "injected";
  return attack.armed ? ["pending", `armed, ${did} ${attack.injected}`] : ["live", `${did} ${attack.injected}`];
}

function update(element, attack, hops, names) {
  const shown = JSON.stringify(attack);
  if (element.ksShown === shown) return;
  element.ksShown = shown;
  const [tone, text] = stateOf(attack);
  element.replaceChildren(
    h("header", {}, icon("warn"), h("b", {}, attackText(attack)), h("span", { class: `badge ${tone}` }, text)),
    h("p", { class: "ids" }, `attack ${attack.attack} · ${attack.listener} · ${attack.equipment} · armed ${clock(attack.armed_us)}`),
    h("ol", { class: "injections" }, attack.injections.map((injection) => injectionItem(injection, attack, hops, names))));
}

/** `element`, and `draw(report, names)` with what the console reported and how members are called. */
export function attackStory() {
  const calm = h("p", { class: "calm" }, icon("confirmed"), h("span", {}, "Nothing was attacked from here yet."));
  const list = h("ol", { class: "stories" });
  const element = h("section", { "aria-label": "What became of it" }, h("h2", {}, "What became of it"), calm,
    h("div", { role: "log", "aria-label": "Attacks and who noticed", tabindex: "0" }, list));
  const draw = (report, names) => {
    const hops = new Map(report.equipment.flatMap((one) => one.listeners.map((listener) => [`${one.name} ${listener.name}`, listener.next_hops])));
    calm.hidden = report.attacks.length > 0;
    keyed(list, report.attacks, (attack) => `${attack.equipment} ${attack.attack}`, () => h("li", { class: "story" }),
      (story, attack) => update(story, attack, hops, names));
  };
  return { element, draw };
}
