// Alarms, the latest first: what an honest network would not do, and who noticed.

import { h, icon, keyed, setText } from "../dom.js";
import { alarmText, clock, shortId } from "../words.js";

const SHOWN = 60;

function details(alarm) {
  const facts = [["what", alarm.detail], ["topic", alarm.topic], ["stream", alarm.stream && shortId(alarm.stream)],
    ["epoch", alarm.topic && String(alarm.epoch)], ["sequence", alarm.stream && String(alarm.sequence)], ["peer", alarm.peer]];
  return h("dl", {}, facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function entry(alarm) {
  const title = h("b", {});
  const when = h("span", { class: "when" });
  const facts = h("div");
  const more = h("details", {}, h("summary", {}, "Details"), facts);
  const element = h("li", {}, icon("warn"), h("div", {}, title, when, more));
  element.ksUpdate = (latest) => {
    const who = latest.device === "" ? "" : ` · ${latest.device}`;
    setText(title, alarmText(latest.kind));
    facts.replaceChildren(details(latest));
    setText(when, `${clock(latest.last_us)}${who}${latest.count > 1 ? ` · ${latest.count} times` : ""}`);
  };
  return element;
}

export function timeline(model) {
  const list = h("ol", { class: "alarms" });
  const calm = h("p", { class: "calm" }, icon("confirmed"), h("span", {}, "Nothing alarming since this console started."));
  const section = h("section", { class: "timeline", "aria-label": "Alarms" }, h("h2", {}, "Alarms"),
    h("div", { role: "log", "aria-label": "Alarms as they come", tabindex: "0", class: "log" }, calm, list));
  const draw = () => {
    const latest = [...model.alarms.values()].sort((a, b) => b.id - a.id).slice(0, SHOWN);
    calm.hidden = latest.length > 0;
    keyed(list, latest, (alarm) => alarm.id, entry, (element, alarm) => element.ksUpdate(alarm));
  };
  const end = model.listen((changes) => {
    if (!section.isConnected) return end();
    if (changes.parts.has("alarms")) draw();
  });
  draw();
  return section;
}
