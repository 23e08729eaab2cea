// Members and keys: who belongs, with which rights, and how that came about.

import { remove, withdraw } from "../api.js";
import { h, hasIcon, icon, keyed, setText } from "../dom.js";
import { kindText, shortId } from "../words.js";
import { epochChain } from "./epochs.js";
import { joinPanel } from "./join.js";
import { taskList } from "./tasks.js";

const ROLES = {
  owner: "Owner's app: holds the secret of every epoch, reads and writes everything",
  device: "Device",
  gateway: "Gateway: carries sealed records, and holds keys only of what it is granted",
  courier: "Carrier: carries sealed records and holds no keys",
  reader: "Reader: holds keys only of what it is granted",
};

const KINDS = ["owner", "gateway", "courier", "device", "reader"];
const inOrder = (members) => [...members].sort((a, b) => b.self - a.self || KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) ||
  a.device.localeCompare(b.device, "en", { numeric: true }));

/** "telemetry/ab12…" in words: of itself, or of whom. */
function topicText(topic, member, names) {
  const [name, owner] = topic.split("/");
  const kind = name === "command" ? "commands" : name;
  if (owner === undefined) return kind;
  return owner === member ? `its own ${kind}` : `${kind} of ${names.get(owner) ?? shortId(owner)}`;
}

function rightsOf(member, names) {
  if (member.kind === "owner") return ["reads and writes everything"];
  if (member.rights.length === 0) return ["reads nothing, writes nothing"];
  const listed = (may) => member.rights.filter((right) => right[may]).map((right) => topicText(right.topic, member.member, names));
  const lines = [];
  // What it says comes before what it is told.
  if (listed("write").length > 0) lines.push(`writes ${listed("write").join(", ")}`);
  if (listed("read").length > 0) lines.push(`reads ${listed("read").join(", ")}`);
  return lines;
}

function confirmRemoval(member, fail) {
  const dialog = h("dialog", { class: "confirm", "aria-labelledby": "confirm-title" });
  const leave = () => {
    dialog.close();
    dialog.remove();
  };
  const act = async () => {
    leave();
    try {
      await remove(member.member, member.device);
    } catch (error) {
      fail(error.message);
    }
  };
  dialog.append(h("h2", { id: "confirm-title" }, `Remove ${member.device}?`),
    h("p", {}, "Everybody else gets new keys, and from then on it can read nothing and is heard by nobody. To take it back it must be reset and joined again."),
    h("div", { class: "row" }, h("button", { type: "button", class: "button quiet", onclick: leave }, "Keep it"),
      h("button", { type: "button", class: "button danger", onclick: act }, "Remove it")));
  dialog.addEventListener("cancel", leave);
  document.body.append(dialog);
  dialog.showModal();
}

function memberCard(member, names, fail) {
  const picture = [member.device_kind, member.kind].find((name) => name !== "" && hasIcon(name)) ?? "device";
  const kind = member.kind === "device" ? kindText(member.device_kind) : ROLES[member.kind];
  return h("li", { class: "card member" },
    h("header", {}, h("span", { class: "picture" }, icon(picture)),
      h("div", { class: "naming" }, h("h3", {}, member.device, member.self ? h("span", { class: "self" }, "this app") : null), h("p", {}, kind)),
      member.self ? null : h("button", { type: "button", class: "button quiet small", "aria-label": `Remove ${member.device}`,
        onclick: () => confirmRemoval(member, fail) }, "Remove")),
    h("ul", { class: "rights" }, rightsOf(member, names).map((line) => h("li", {}, line))),
    h("p", { class: "ids" }, `member ${shortId(member.member)} · since epoch ${member.since_epoch}`),
    h("p", { class: "ids" }, member.transport));
}

function noticesOf(model) {
  const out = [];
  if (model.changePending) {
    out.push({ id: "pending", text: "A change is made, but nobody has confirmed it yet. It is handed over again and again until somebody does.", action: withdraw, word: "Take it back" });
  }
  const waiting = model.waiting.members.map((member) => member.device);
  if (waiting.length > 0) {
    out.push({ id: `waiting ${model.waiting.epoch} ${waiting.join()}`,
      text: `Waiting for ${waiting.join(", ")}: not seen yet under the keys of epoch ${model.waiting.epoch}. Until then it is not known whether the change has reached ${waiting.length === 1 ? "it" : "them"}.` });
  }
  return out;
}

function notice(item) {
  const act = async (event) => {
    event.target.disabled = true;
    await item.action().catch(() => { event.target.disabled = false; });
  };
  return h("p", { class: "note" }, icon("wait"), h("span", {}, item.text),
    item.action ? h("button", { type: "button", class: "button quiet small", onclick: act }, item.word) : null);
}

export const members = {
  path: "members",
  title: "Members and keys",
  icon: "key",
  mount(main, { model }) {
    const where = h("p", { class: "summary" });
    const notices = h("div", { class: "notices", role: "status" });
    const failure = h("p", { class: "error", role: "alert" });
    const list = h("ul", { class: "members" });
    const parts = [joinPanel(model), taskList(model), epochChain(model)];
    const [join, changes, chain] = parts.map((part) => part.element);
    main.append(h("div", { class: "heading" }, h("h1", {}, "Members and keys"), where), notices, failure, chain,
      h("div", { class: "columns" }, h("section", { "aria-label": "Members" }, list), h("div", { class: "side" }, join, changes)));
    const fail = (text) => setText(failure, text);
    const draw = () => {
      const membership = model.membership;
      const names = new Map(membership?.members.map((member) => [member.member, member.device]) ?? []);
      setText(where, membership === null ? "This home has not been founded yet."
        : `${membership.members.length} members of ${membership.tenant} · home ${shortId(membership.instantiation)} · epoch ${membership.epoch}`);
      keyed(notices, noticesOf(model), (item) => item.id, notice);
      keyed(list, inOrder(membership?.members ?? []), (member) => JSON.stringify(member), (member) => memberCard(member, names, fail));
      for (const part of parts) part.draw();
    };
    const end = model.listen((changes) => {
      if (["membership", "waiting", "change_pending", "tasks", "home"].some((part) => changes.parts.has(part))) draw();
    });
    draw();
    return end;
  },
};
