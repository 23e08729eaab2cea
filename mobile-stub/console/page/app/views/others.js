// What others see: one record, as its owner sees it and as every process between has it, asked of each of them at one moment.
// "#/others" follows the newest reading; "#/others/topic,sender,epoch,stream,sequence" stays at one record, also one that never opened.

import { configuredOthers, lookAtOthers } from "../api_others.js";
import { h, icon, keyed, setAttribute, setText } from "../dom.js";
import { channelText, clock, shortId, unitText, valueText } from "../words.js";
import { holderRow } from "./other_row.js";
import { rowsOf } from "./other_rows.js";

const EVERY = 1000;  // ms between two looks, while it follows
const NOBODY = { opened_sha256: "", holders: [] };

export const addressOf = (place) => `#/others/${[place.topic, place.sender, place.epoch, place.stream, place.sequence].join(",")}`;

function placeInAddress() {
  const parts = decodeURIComponent(location.hash.replace(/^#\/others\/?/, "")).split(",");
  if (parts.length !== 5) return null;
  const [topic, sender, epoch, stream, sequence] = parts;
  return { topic, sender, epoch: Number(epoch), stream, sequence: Number(sequence) };
}

/** The newest reading of a device, or of all of them; null while there is none. */
function newestReading(model, member) {
  let newest = null;
  for (const device of model.devices.values()) {
    if (member !== "" && device.member !== member) continue;
    for (const channel of device.channels.values()) {
      if (newest === null || channel.taken_us > newest.channel.taken_us) newest = { device, channel };
    }
  }
  return newest;
}

/** All readings that the record carries, in words, while the model still has them. */
function ownerSees(model, place) {
  const device = model.devices.get(place.sender);
  const same = [...(device?.channels.values() ?? [])].filter((one) => one.stream === place.stream && one.sequence === place.sequence);
  return { device: device?.device ?? shortId(place.sender), takenUs: same[0]?.taken_us ?? 0,
    values: same.map((one) => `${channelText(one.name)} ${valueText(one)}${one.unit === "%" ? "" : " "}${unitText(one.unit)}`.trim()) };
}

function ownerCard() {
  const values = h("p", { class: "owner-values" });
  const where = h("p", { class: "summary" });
  const digest = h("p", { class: "ids" });
  const element = h("section", { class: "card owner", "aria-label": "What you see" },
    h("header", {}, h("span", { class: "picture" }, icon("owner")), h("div", { class: "naming" }, h("h2", {}, "You, with the keys"), where)), values, digest);
  const show = (place, sees, opened) => {
    const nothing = opened === "" ? "Nothing was opened at this place." : "Opened here; its values have been followed by newer ones.";
    setText(values, sees.values.length > 0 ? sees.values.join(" · ") : nothing);
    setText(where, sees.takenUs > 0 ? `${sees.device} · taken ${clock(sees.takenUs)}` : sees.device);
    setText(digest, `record ${place.sequence} of stream ${shortId(place.stream)}, epoch ${place.epoch}`
      + (opened === "" ? "" : ` · opened from the sealed object ${shortId(opened)}…`));
  };
  return { element, show };
}

/** One question after another, for as long as the view is there. */
class Looking {
  #timer = 0;
  #ended = false;
  constructor(ask, fail) {
    this.run = async () => {
      try {
        // A hidden page asks nobody.
        if (!document.hidden) await ask();
        fail("");
      } catch (error) {
        fail(`Looking failed: ${error.message}`);
      }
      if (!this.#ended) this.#timer = setTimeout(this.run, EVERY);
    };
  }
  get ended() {
    return this.#ended;
  }
  end() {
    this.#ended = true;
    clearTimeout(this.#timer);
  }
}

export const others = {
  path: "others",
  title: "What others see",
  icon: "eye",
  mount(main, { model }) {
    let held = placeInAddress();
    let shown = null;  // {place, sees, look}
    let stale = false;  // what is shown is of a device chosen before
    let remotes = [];
    const owner = ownerCard();
    const rows = h("ol", { class: "holders" });
    const said = h("p", { class: "summary", role: "status" });
    const failure = h("p", { class: "error", role: "alert" });
    const pick = h("select", { "aria-label": "Whose reading" }, h("option", { value: "" }, "The newest reading of all"));
    const pin = h("button", { type: "button", class: "button quiet", "aria-pressed": "false" });
    const noControlText = h("span", {});
    const noControl = h("p", { class: "note", hidden: true }, icon("cross"), noControlText);
    const controls = h("div", { class: "row follow", hidden: true }, pick, pin);
    main.append(h("div", { class: "heading" }, h("h1", {}, "What others see"), said),
      h("p", { class: "lead" }, "The same record at the same moment, asked of each process that has it. Equipment, gateway and cloud carry it; none of them can read it."),
      controls, failure, owner.element, noControl, rows);

    const draw = (look) => {
      const away = look.holders.filter((holder) => holder.control && holder.error !== "");
      noControl.hidden = away.length === 0;
      setText(noControlText, `The unprotected control is not shown: ${away.map((holder) => `${holder.name}: ${holder.error}`).join(". ")}. Beside containers it is started by docker compose --profile control up -d.`);
      keyed(rows, rowsOf(look, remotes), (row) => row.kind, () => h("li", { class: "holder" }),
        (element, row) => holderRow(element, row, look));
    };
    const tell = () => {
      setAttribute(pin, "aria-pressed", String(held !== null));
      setText(pin, held === null ? "Hold this one" : "Follow the newest");
      pin.disabled = shown === null || stale;
      if (shown === null) setText(said, "No reading has come yet.");
      else setText(said, held === null ? `shows the newest reading · looked ${clock(model.nowUs())}` : `stays at one record${shown.sees.takenUs > 0 ? `, taken ${clock(shown.sees.takenUs)}` : ""}`);
    };

    const ask = async () => {
      const chosen = pick.value;
      const newest = held === null ? newestReading(model, pick.value) : null;
      const place = held ?? (newest === null ? null
        : { topic: newest.channel.topic, sender: newest.device.member, epoch: newest.channel.epoch, stream: newest.channel.stream, sequence: newest.channel.sequence });
      // What is held stays as it was when it was looked at: nothing moves under a reader's eyes.
      if (place === null || (held !== null && shown?.place === held)) return tell();
      const sees = ownerSees(model, place);
      const look = await lookAtOthers(place);
      if (looking.ended || (held !== null && held !== place)) return undefined;
      shown = { place, sees, look };
      stale = pick.value !== chosen;
      owner.show(place, sees, look.opened_sha256);
      draw(look);
      return tell();
    };
    const looking = new Looking(ask, (text) => {
      if (!looking.ended) setText(failure, text);
    });

    pin.addEventListener("click", () => {
      held = held === null ? shown.place : null;
      if (held === null && placeInAddress() !== null) history.replaceState(null, "", "#/others");
      tell();
    });
    pick.addEventListener("change", () => {
      if (held !== null) pin.click();
      stale = true;
      tell();
    });
    const moved = () => {
      held = placeInAddress() ?? held;
    };
    addEventListener("hashchange", moved);
    const listDevices = () => {
      const chosen = pick.value;
      const devices = [...model.devices.values()].sort((a, b) => a.device.localeCompare(b.device, "en", { numeric: true }));
      pick.replaceChildren(pick.firstChild, ...devices.map((device) => h("option", { value: device.member }, device.device)));
      pick.value = chosen;
    };
    const end = model.listen((changes) => {
      if (changes.parts.has("devices")) listDevices();
    });
    listDevices();
    tell();
    draw(NOBODY);
    configuredOthers().then((configured) => {
      remotes = configured.remotes;
      controls.hidden = remotes.length === 0;
      if (remotes.length > 0) looking.run();
    }).catch((error) => setText(failure, error.message));
    return () => {
      looking.end();
      end();
      removeEventListener("hashchange", moved);
    };
  },
};
