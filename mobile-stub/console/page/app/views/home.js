// Home: every device with its values as they come, and what may be believed of them.

import { h, icon, keyed, setText } from "../dom.js";
import { DeviceCard } from "./device_card.js";
import { glossary } from "./glossary.js";
import { timeline } from "./timeline.js";

const SEARCH_FROM = 9;  // devices

/** What the cards say together, in a sentence. */
function summary(devices) {
  const here = [...devices.values()].filter((device) => !device.removed);
  if (here.length === 0) return "";
  const count = (liveness) => here.filter((device) => device.liveness === liveness).length;
  const missing = here.filter((device) => device.flags.some((flag) => flag.startsWith("missing"))).length;
  const parts = [`${here.length} ${here.length === 1 ? "device" : "devices"}`, `${count("live")} live`];
  if (count("late") > 0) parts.push(`${count("late")} late`);
  if (count("history") > 0) parts.push(`${count("history")} not heard lately`);
  parts.push(missing === 0 ? "nothing missing" : `records of ${missing} missing`);
  return parts.join(" · ");
}

function emptyText(model) {
  if (model.home === null) return "Opening …";
  if (!model.home.reading) return "No device is yours yet.";
  return "No device has been paired yet.";
}

export const home = {
  path: "home",
  title: "Home",
  icon: "home",
  mount(main, { model }) {
    const cards = new Map();
    const said = h("p", { class: "summary" });
    const search = h("input", { type: "search", placeholder: "Find a device", "aria-label": "Find a device", hidden: true });
    const grid = h("div", { class: "cards" });
    const hint = h("p", {}, "");
    const empty = h("div", { class: "empty", hidden: true }, icon("device"), hint,
      h("a", { class: "button", href: "#/members" }, "Join a device by its label"));
    const meanings = glossary();
    main.append(h("div", { class: "heading" }, h("h1", {}, "Home"), said, search), meanings,
      h("div", { class: "columns" }, h("section", { "aria-label": "Devices" }, grid, empty), timeline(model)));

    // A card out of sight costs nothing: it is brought up to date when it comes into sight.
    const sight = new IntersectionObserver((entries) => {
      for (const entry of entries) cards.get(entry.target.dataset.member)?.setVisible(entry.isIntersecting);
    }, { rootMargin: "200px" });

    const list = () => {
      const wanted = search.value.trim().toLowerCase();
      const shown = [...model.devices.values()]
        .filter((device) => `${device.device} ${device.kind}`.toLowerCase().includes(wanted))
        .sort((a, b) => a.removed - b.removed || a.device.localeCompare(b.device, "en", { numeric: true }));
      keyed(grid, shown, (device) => device.member, (device) => {
        const card = new DeviceCard(model, device.member);
        cards.set(device.member, card);
        sight.observe(card.element);
        return card.element;
      });
      for (const [member, card] of cards) {
        if (card.element.isConnected) continue;
        sight.unobserve(card.element);
        cards.delete(member);
      }
      search.hidden = model.devices.size < SEARCH_FROM;
      empty.hidden = model.devices.size > 0;
      meanings.hidden = model.devices.size === 0;
      setText(hint, emptyText(model));
    };
    search.addEventListener("input", list);

    const end = model.listen((changes) => {
      if (changes.parts.has("devices") || changes.parts.has("home")) list();
      for (const member of changes.devices) cards.get(member)?.refresh();
      if (changes.parts.has("tasks")) for (const card of cards.values()) card.refreshTasks();
    });
    const seconds = setInterval(() => {
      setText(said, summary(model.devices));
      for (const card of cards.values()) card.tick();
    }, 1000);
    list();
    setText(said, summary(model.devices));
    return () => {
      end();
      clearInterval(seconds);
      sight.disconnect();
    };
  },
};
