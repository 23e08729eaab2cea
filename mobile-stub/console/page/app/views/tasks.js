// What becomes of what was asked for, step by step, for changes of who belongs.

import { h, icon, keyed, setAttribute } from "../dom.js";
import { clock, wordIn } from "../words.js";

const STEPS = {
  waiting_for_announcement: "waiting for it to announce itself",
  is_yours_already: "is yours already; looking whether it was reset",
  announced: "has announced itself",
  m1_sent: "was sent the invitation",
  joined: "has answered, and proved that it is the device of the label",
  committed: "is a member: the change is signed and seen",
  refused: "something came that is not from it, and was refused",
};

const TITLES = {
  pair: (task) => `Joining ${task.devices.join(", ")}`,
  remove: (task) => `Removing ${task.device}`,
  add_carrier: (task) => `Letting ${task.transport} carry`,
  withdraw: () => "Taking back the unconfirmed change",
};

const WITHDRAWN = { withdrawn: "Taken back.", too_late: "Too late: the change has come true.", nothing: "There was nothing to take back." };

function outcomeOf(task) {
  if (task.state === "running") return ["wait", "Under way …"];
  if (task.state === "not_confirmed") return ["wait", `Not confirmed yet: ${task.message}`];
  if (task.state !== "done") return ["cross", task.message];
  if (task.kind === "withdraw") return ["confirmed", WITHDRAWN[task.outcome.withdrawal]];
  const failed = task.outcome.failed ?? [];
  if (failed.length > 0) return ["cross", failed.map((one) => `${one.device}: ${one.reason}`).join("; ")];
  return ["confirmed", `Done: epoch ${task.outcome.epoch} has begun.`];
}

function steps(task) {
  const list = h("ol", {}, task.steps.map((step) => h("li", {}, `${step.device}: ${wordIn(STEPS, step.step) ?? step.step}`,
    step.detail === "" ? null : h("small", {}, ` (${step.detail})`))));
  if (task.state === "running" || task.steps.length === 0) return list;
  return h("details", {}, h("summary", {}, `${task.steps.length} steps`), list);
}

function update(element, task) {
  const key = `${task.state} ${task.steps.length}`;
  if (element.dataset.key === key) return;  // what is open in it stays open
  element.dataset.key = key;
  const [picture, said] = outcomeOf(task);
  setAttribute(element, "data-state", task.state);
  element.replaceChildren(
    h("header", {}, icon(picture), h("b", {}, TITLES[task.kind](task)), h("span", { class: "when" }, clock(task.started_us))),
    h("p", {}, said), steps(task));
}

/** The latest changes of who belongs, kept up to date; `draw()` after each change of tasks. */
export function taskList(model) {
  const element = h("div", { class: "tasks", role: "status", "aria-label": "Changes under way" });
  const draw = () => {
    const shown = [...model.tasks.values()].filter((task) => task.kind in TITLES)
      .sort((a, b) => b.started_us - a.started_us).slice(0, 3);
    keyed(element, shown, (task) => task.id, () => h("article", { class: "task" }), update);
  };
  return { element, draw };
}
