// Attack: the equipment on this home's own path does what it can, and everybody sees who noticed.

import { arm, attacks, disarmAll } from "../api_others.js";
import { ON_RECORDS, ON_TLS, TOPICS } from "../attack_words.js";
import { h, icon, keyed, setText } from "../dom.js";
import { attackStory } from "./attack_story.js";
import { timeline } from "./timeline.js";

const EVERY = 700;  // ms

class Hop {
  constructor(equipment, listener, send) {
    const groups = listener.ends_tls ? ON_RECORDS : ON_TLS;
    this.topic = h("select", { "aria-label": `What ${listener.name} attacks` }, TOPICS.map(([value, says]) => h("option", { value }, says)));
    const act = (attack) => send({ kind: attack.kind, target: attack.target, delay_ms: attack.delay_ms ?? 0, listener: listener.name,
      topic_prefix: listener.ends_tls ? this.topic.value : "tls", count: 1 });
    const button = (attack) => h("button", { type: "button", class: "button quiet small", onclick: () => act(attack) }, attack.says);
    this.element = h("li", { class: "card hop", "aria-label": `${equipment}: ${listener.name}` },
      h("header", {}, h("div", { class: "naming" }, h("h3", {}, listener.name),
        h("p", {}, equipment),
        h("p", {}, listener.ends_tls ? "a balancer with valid certificates" : "a relay without certificates: it sees TLS records only"),
        h("p", {}, `next: ${listener.next_hops.join(", ")}`)), listener.ends_tls ? this.topic : null),
      groups.map((group) => h("fieldset", {}, h("legend", {}, group.title), h("div", { class: "row" }, group.attacks.map(button)))));
  }
}

function emptyText(report) {
  if (report === null) return "Asking …";
  if (report.equipment.length === 0) {
    return "Not connected: nothing here can attack. Start keystead-infra-sim with --control-listen on the way between device, gateway and cloud, and this console with --infra (mobile-stub/console/README.md, Use)";
  }
  return "";
}

export const attack = {
  path: "attack",
  title: "Attack",
  icon: "bolt",
  mount(main, { model }) {
    let ended = false;
    let timer = 0;
    const failure = h("p", { class: "error", role: "alert" });
    const hint = h("p", { class: "nothing" }, emptyText(null));
    const away = h("div", { class: "notices" });
    const hops = h("ul", { class: "hops" });
    const story = attackStory();
    const disarm = h("button", { type: "button", class: "button danger", hidden: true }, "Disarm all");
    main.append(h("div", { class: "heading" }, h("h1", {}, "Attack"), disarm),
      h("p", { class: "lead" }, "Each button lets the equipment attack the next record that passes it: one of yours, really. What is changed opens for nobody; what is swallowed stays away, and is said to be missing."),
      failure, away, h("div", { class: "columns attacking" },
        h("section", { "aria-label": "Where to attack" }, hint, hops), h("div", { class: "side" }, story.element, timeline(model))));

    const names = () => new Map([...model.devices.values()].map((device) => [device.member, device.device]));
    const draw = (report) => {
      setText(hint, emptyText(report));
      disarm.hidden = report.equipment.length === 0;
      keyed(away, report.equipment.filter((one) => one.error !== ""), (one) => one.name + one.error,
        (one) => h("p", { class: "note" }, icon("cross"), h("span", {}, `${one.name}: ${one.error}`)));
      const all = report.equipment.flatMap((one) => one.listeners.map((listener) => ({ equipment: one.name, listener })));
      keyed(hops, all, (one) => `${one.equipment} ${one.listener.name}`,
        (one) => new Hop(one.equipment, one.listener, (request) => send({ ...request, equipment: one.equipment })).element);
      story.draw(report, names());
    };
    const look = async () => {
      const report = await attacks();
      if (!ended) draw(report);
    };
    const tell = async (act) => {
      try {
        await act();
        setText(failure, "");
      } catch (error) {
        if (!ended) setText(failure, error.message);
      }
    };
    const send = (request) => tell(async () => {
      await arm(request);
      await look();
    });
    const follow = async () => {
      await tell(look);
      if (!ended) timer = setTimeout(follow, document.hidden ? 5 * EVERY : EVERY);
    };
    disarm.addEventListener("click", () => tell(async () => draw(await disarmAll())));
    follow();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  },
};
