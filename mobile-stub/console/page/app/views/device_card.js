// One device: its values, each with its age and with what may be believed of it, and what it can be told.

import { setBadge } from "../badge.js";
import { h, hasIcon, icon, keyed, setAttribute, setText } from "../dom.js";
import { drawLine, rangeOf } from "../chart.js";
import { BELIEF, LIVENESS, ago, channelText, flagMeaning, inOrder, kindText, lasting, unitText, valueText } from "../words.js";
import { controlsFor } from "./controls.js";

class ChannelRow {
  constructor(channel) {
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.value = h("span", { class: "value" });
    this.unit = h("span", { class: "unit" });
    this.liveness = h("span");
    this.belief = h("span");
    this.age = h("span", { class: "age" });
    this.range = h("span", { class: "range" });
    this.element = h("div", { class: "channel" },
      h("div", { class: "reading" }, h("span", { class: "label" }, channelText(channel.name)),
        h("span", { class: "figure" }, this.value, this.unit)),
      h("div", { class: "plot" }, this.canvas, this.range),
      h("div", { class: "states" }, this.liveness, this.belief, this.age));
    this.stepped = channel.name === "on" || channel.name === "brightness";
  }

  update(channel, nowUs) {
    this.channel = channel;
    setText(this.value, valueText(channel));
    setText(this.unit, unitText(channel.unit));
    const liveness = channel.current ? channel.liveness : "history";
    setBadge(this.liveness, liveness, LIVENESS[liveness].word, LIVENESS[liveness].meaning);
    const belief = channel.quality === "bad" ? "warn" : channel.confirmed ? "confirmed" : "pending";
    setBadge(this.belief, belief, BELIEF[belief].word, BELIEF[belief].meaning);
    setAttribute(this.element, "data-taken", String(channel.taken_us));
    this.tick(nowUs);
  }

  tick(nowUs) {
    setText(this.age, ago(nowUs - this.channel.taken_us));
  }

  draw() {
    const points = this.channel.points;
    drawLine(this.canvas, points, this.stepped);
    const range = rangeOf(points);
    const duration = points.length > 1 ? points[points.length - 1][0] - points[0][0] : 0;
    if (range === null || duration < 1e6) return setText(this.range, "");
    const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });
    const what = range.low === range.high ? number(range.low) : `${number(range.low)} – ${number(range.high)}`;
    setText(this.range, this.channel.name === "on" ? `last ${lasting(duration)}` : `${what} over the last ${lasting(duration)}`);
  }
}

export class DeviceCard {
  #built = false;
  #visible = false;
  #stale = true;
  #rows = new Map();

  constructor(model, member) {
    this.model = model;
    this.member = member;
    const title = `device-${member}`;
    this.title = h("h2", { id: title });
    this.element = h("article", { class: "card device", "aria-labelledby": title, "data-member": member }, this.title);
    setText(this.title, this.device.device);
  }

  get device() {
    return this.model.devices.get(this.member);
  }

  setVisible(visible) {
    this.#visible = visible;
    if (visible && this.#stale) this.#update();
  }

  refresh() {
    if (this.#visible) this.#update();
    else this.#stale = true;
  }

  refreshTasks() {
    if (this.#built) this.controls?.refresh();
  }

  tick() {
    if (!this.#visible) return;
    for (const row of this.#rows.values()) row.tick(this.model.nowUs());
  }

  #build(device) {
    this.#built = true;
    this.liveness = h("span", { class: "liveness" });
    this.flags = h("ul", { class: "flags", "aria-label": "What is wrong" });
    this.channels = h("div", { class: "channels" });
    this.nothing = h("p", { class: "nothing" }, "Nothing has been read from it since this console started.");
    this.kind = h("p", { class: "kind" });
    const picture = hasIcon(device.kind) ? device.kind : "device";
    this.element.replaceChildren(
      h("header", {}, h("span", { class: "picture" }, icon(picture)), h("div", { class: "naming" }, this.title, this.kind), this.liveness),
      this.flags, this.nothing, this.channels);
    this.controls = controlsFor(this.model, this.member);
    if (this.controls !== null) this.element.append(this.controls.element);
  }

  #update() {
    const device = this.device;
    if (device === undefined) return;
    if (!this.#built) this.#build(device);
    this.#stale = false;
    setText(this.title, device.device);
    setText(this.kind, device.removed ? `${kindText(device.kind)}, removed` : kindText(device.kind));
    setAttribute(this.element, "data-removed", String(device.removed));
    const { word, meaning } = LIVENESS[device.liveness];
    setBadge(this.liveness, device.liveness, word, meaning);
    this.flags.hidden = device.flags.length === 0;
    keyed(this.flags, device.flags, (flag) => flag, (flag) => h("li", { class: flag.startsWith("waiting") ? "wait" : "warn", title: flagMeaning(flag) },
      icon(flag.startsWith("waiting") ? "wait" : "warn"), flag));
    const channels = inOrder(device.kind, [...device.channels.values()]);
    this.nothing.hidden = channels.length > 0;
    const now = this.model.nowUs();
    keyed(this.channels, channels, (channel) => channel.name, (channel) => {
      const row = new ChannelRow(channel);
      this.#rows.set(channel.name, row);
      return row.element;
    });
    for (const channel of channels) {
      const row = this.#rows.get(channel.name);
      row.update(channel, now);
      row.draw();
    }
    this.controls?.refresh();
  }
}
