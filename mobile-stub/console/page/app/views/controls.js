// What a device can be told. A command is done when the device itself says so, signed; until then it is only asked for.

import { command } from "../api.js";
import { h, icon, setAttribute, setText } from "../dom.js";
import { RESULTS, clock, shortId, wordIn } from "../words.js";

const STEPS = { probing: "Asking whether the device is there …", sent: "Sent; waiting for its signed answer …" };

/** The latest command to this device. */
function latest(model, member) {
  return [...model.tasks.values()].findLast((task) => task.kind === "command" && task.member === member) ?? null;
}

function wordsOf(task) {
  const what = task.argument === null ? task.operation : `${task.operation} ${task.argument}`;
  if (task.state === "running") return ["wait", what, wordIn(STEPS, task.steps.at(-1)?.step) ?? "Beginning …", ""];
  if (task.state !== "done") {
    const unknown = task.state === "unknown";
    return ["warn", what, unknown ? "No signed answer: whether it was done is not known" : "Not sent", task.message];
  }
  const { result, detail, answered_counter, signed_by, round_trip_ms, command: hash } = task.outcome;
  const more = `command ${answered_counter} (${shortId(hash)}), answer signed by ${task.device} (${shortId(signed_by)}), ` +
    `${Math.round(round_trip_ms)} ms, ${clock(task.ended_us)}`;
  return [result === "done" ? "confirmed" : "cross", what, detail === "" ? RESULTS[result] ?? result : `${RESULTS[result] ?? result}: ${detail}`, more];
}

class Bulb {
  #asked = null;  // why the console did not even begin
  #sliding = false;

  constructor(model, member) {
    this.model = model;
    this.member = member;
    this.power = h("button", { class: "switch", role: "switch", type: "button", onclick: () => this.#toggle() },
      h("span", { class: "knob" }), h("span", { class: "word" }));
    this.slider = h("input", { type: "range", min: "1", max: "100", step: "1", "aria-label": "Brightness, percent" });
    this.level = h("output", {});
    this.slider.addEventListener("input", () => {
      this.#sliding = true;
      setText(this.level, `${this.slider.value} %`);
    });
    this.slider.addEventListener("change", () => {
      this.#sliding = false;
      this.#send("brightness", Number(this.slider.value));
    });
    this.answer = h("p", { class: "answer", role: "status" });
    this.element = h("div", { class: "controls" },
      h("div", { class: "row" }, this.power, h("label", { class: "dimmer" }, this.slider, this.level)), this.answer);
  }

  #channel(name) {
    return this.model.devices.get(this.member)?.channels.get(name);
  }

  #toggle() {
    if (this.power.getAttribute("aria-busy") === "true") return;
    this.#send(this.#channel("on")?.value > 0 ? "off" : "on");
  }

  async #send(operation, argument = null) {
    this.#asked = null;
    try {
      await command(this.member, operation, argument);
    } catch (error) {
      this.#asked = error.message;
    }
    this.refresh();
  }

  refresh() {
    const device = this.model.devices.get(this.member);
    const task = latest(this.model, this.member);
    const on = this.#channel("on")?.value > 0;
    setAttribute(this.power, "aria-checked", String(on));
    setAttribute(this.power, "aria-label", `${device?.device ?? "Light"}: ${on ? "switch off" : "switch on"}`);
    setText(this.power.querySelector(".word"), on ? "On" : "Off");
    const busy = task?.state === "running";
    setAttribute(this.power, "aria-busy", String(busy));
    // Not disabled while a command is under way: who came by keyboard would be thrown out.
    this.power.disabled = this.slider.disabled = device === undefined || device.removed;
    const brightness = this.#channel("brightness")?.value;
    if (!this.#sliding && !busy && on && brightness > 0) {
      this.slider.value = String(Math.round(brightness));
      setText(this.level, `${Math.round(brightness)} %`);
    }
    this.#tell(task);
  }

  #tell(task) {
    const key = this.#asked ?? (task === null ? "" : `${task.id} ${task.state} ${task.steps.length}`);
    if (this.answer.dataset.key === key) return;
    this.answer.dataset.key = key;
    if (this.#asked !== null) return this.answer.replaceChildren(icon("warn"), h("span", {}, this.#asked));
    if (task === null) return this.answer.replaceChildren();
    const [picture, what, said, more] = wordsOf(task);
    setAttribute(this.answer, "data-state", picture);
    this.answer.replaceChildren(icon(picture), h("span", {}, h("b", {}, `${what}: `), said, more === "" ? null : h("small", {}, more)));
  }
}

/** Null where there is nothing to tell it. */
export function controlsFor(model, member) {
  return model.devices.get(member)?.kind === "lightbulb" ? new Bulb(model, member) : null;
}
