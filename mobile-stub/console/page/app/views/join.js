// Joining a device by the label in the owner's hand: pasted, or read by the camera where the browser can.

import { pair } from "../api.js";
import { h, icon, setText } from "../dom.js";

const canScan = () => "BarcodeDetector" in globalThis && navigator.mediaDevices?.getUserMedia !== undefined;

/** Looks through the camera until a label is seen or the dialog is closed; its text, or null. */
async function scan(dialog, video) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    video.srcObject = stream;
    await video.play();
    dialog.showModal();
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    while (dialog.open) {
      const seen = (await detector.detect(video)).find((code) => /^KS1:/i.test(code.rawValue));
      if (seen !== undefined) return seen.rawValue;
      await new Promise(requestAnimationFrame);
    }
    return null;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    dialog.close();
  }
}

function recoveryNote(home) {
  if (home === null || home.founded) return null;
  if (!home.can_found) {
    return "The first pairing makes the recovery key of this home, and this console has nowhere to put it. Start it again " +
      "with --recovery-out FILE, or pair the first device on the command line.";
  }
  return `The first pairing founds this home and makes its recovery key. It goes to ${home.recovery_place} and is shown this ` +
    "once: never on this page, and it is kept nowhere. Put it where no computer is.";
}

export function joinPanel(model) {
  const label = h("textarea", { id: "label", rows: "4", spellcheck: "false", autocomplete: "off", autocapitalize: "characters",
    placeholder: "KS1: …", "aria-describedby": "label-help label-error" });
  const error = h("p", { id: "label-error", class: "error", role: "alert" });
  const note = h("p", { class: "note", hidden: true });
  const video = h("video", { muted: true, playsinline: true });
  const dialog = h("dialog", { class: "scanner", "aria-label": "Scan a label" }, video,
    h("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, "Close"));
  const submit = h("button", { type: "submit", class: "button" }, "Join");
  const scanner = h("button", { type: "button", class: "button quiet", hidden: !canScan() }, "Scan its QR code");

  const fail = (text) => setText(error, text);
  scanner.addEventListener("click", async () => {
    fail("");
    try {
      const text = await scan(dialog, video);
      if (text !== null) label.value = text;
    } catch (reason) {
      fail(`The camera cannot be used: ${reason.message}`);
    }
  });
  const form = h("form", { class: "join card", "aria-labelledby": "join-title" },
    h("h2", { id: "join-title" }, "Join a device"),
    h("p", { id: "label-help" }, "Switch it on, and paste what is printed on its label. Several labels go one after the other."),
    note, h("label", { for: "label" }, "Label"), label, error, h("div", { class: "row" }, submit, scanner), dialog);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fail("");
    if (label.value.trim() === "") return fail("Paste a label first.");
    try {
      await pair(label.value);
      label.value = "";  // as secret as the code in it
    } catch (reason) {
      fail(reason.message);
      label.focus();
    }
  });

  const draw = () => {
    const text = recoveryNote(model.home);
    note.hidden = text === null;
    if (text !== null) note.replaceChildren(icon("key"), h("span", {}, text));
    submit.disabled = scanner.disabled = model.home === null || (!model.home.founded && !model.home.can_found);
  };
  return { element: form, draw };
}
