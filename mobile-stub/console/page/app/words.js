// What numbers and states are called.

const UNITS = { Cel: "°C", "mm[Hg]": "mmHg", 1: "", "%": "%" };
export const unitText = (unit) => UNITS[unit] ?? unit;

export function valueText(channel) {
  if (channel.value === null) return "–";
  if (channel.name === "on" && channel.unit === "1") return channel.value > 0 ? "On" : "Off";
  const size = Math.abs(channel.value);
  const digits = channel.unit === "Cel" ? 1 : size >= 100 || Number.isInteger(channel.value) ? 0 : size >= 10 ? 1 : 2;
  return channel.value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: channel.unit === "Cel" ? 1 : 0 });
}

export function ago(us) {
  const seconds = Math.max(0, us / 1e6);
  if (seconds < 1.5) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

export function lasting(us) {
  const seconds = Math.max(1, us / 1e6);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export const clock = (us) => new Date(us / 1000).toLocaleTimeString("en-GB");
export const shortId = (hex) => hex.slice(0, 8);

const CHANNELS = { on: "State", "soil-moisture": "Soil moisture", "memory-used": "Memory", "disk-used": "Disk" };
export const channelText = (name) => CHANNELS[name] ?? name.charAt(0).toUpperCase() + name.slice(1);

/** Of a kind of device, what comes first. */
const FIRST = { lightbulb: ["on", "brightness", "power"], "blood-pressure": ["systolic", "diastolic", "pulse"], host: ["load"] };
export function inOrder(kind, channels) {
  const place = (name) => (FIRST[kind]?.indexOf(name) ?? -1) >= 0 ? FIRST[kind].indexOf(name) : 99;
  return channels.sort((a, b) => place(a.name) - place(b.name));
}

const KINDS = { lightbulb: "Light bulb", temperature: "Thermometer", "blood-pressure": "Blood pressure monitor",
  "soil-moisture": "Soil sensor", host: "Computer", replay: "Recording" };
export const kindText = (kind) => KINDS[kind] ?? (kind === "" ? "Device" : kind);

/** Of a stream: how fresh its sender's word is. */
export const LIVENESS = {
  live: { word: "live", meaning: "its sender has just answered this console" },
  late: { word: "late", meaning: "its sender has answered, but not lately" },
  history: { word: "history", meaning: "nothing shows that this was said lately" },
};

const ALARMS = {
  peer_refused: "A caller was refused",
  issuer_mismatch: "A certificate names a tenant whose authority did not issue it",
  not_permitted: "Somebody asked for what they may not have",
  malformed: "Bytes came that are no message",
  open_failed: "A record was changed, or moved from where it belongs",
  signature_invalid: "A record was not signed by who it names",
  replay: "An old record was played again",
  conflict: "Two different records claim one place",
  missing: "Records are missing",
  loss_reported: "A device says that it lost records",
  stale: "A device has said nothing fresh for too long",
  tail_unknown: "A device cannot say where it stopped before",
  cloned_or_rolled_back: "A device was copied, or put back to an earlier state",
  provider_rolled_back: "The provider serves less than it has served before",
  hash_chain_broken: "What was read is not what the device signed for",
  fork: "Two histories of who belongs were shown",
  commit_refused: "A change of who belongs was not the owner's",
  command_refused: "A command was not obeyed",
  join_refused: "A stranger tried to join in a device's name",
  limit_exceeded: "Somebody asked for more than is allowed",
};
export const alarmText = (kind) => ALARMS[kind] ?? kind.replaceAll("_", " ");

/** Why a command was not done, in the device's own words. */
export const RESULTS = {
  done: "Done",
  reboot: "Not done: the device was restarted meanwhile",
  expired: "Not done: it arrived after its deadline",
  replayed: "Not done: the device had seen this command before",
  "not permitted": "Not done: the device does not take this from here",
  unsupported: "Not done: the device does not know how",
  "lease over": "Not done: the device has not heard its owner for too long",
};
