// What numbers and states are called.

/** Of a table of words; undefined where it has none. A device may call something "constructor": that is no word of ours. */
export const wordIn = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);

const UNITS = { Cel: "°C", "mm[Hg]": "mmHg", 1: "", "%": "%" };
export const unitText = (unit) => wordIn(UNITS, unit) ?? unit;

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
export const channelText = (name) => wordIn(CHANNELS, name) ?? name.charAt(0).toUpperCase() + name.slice(1);

/** Of a kind of device, what comes first. */
const FIRST = { lightbulb: ["on", "brightness", "power"], "blood-pressure": ["systolic", "diastolic", "pulse"], host: ["load"] };
export function inOrder(kind, channels) {
  const first = wordIn(FIRST, kind) ?? [];
  const place = (name) => (first.includes(name) ? first.indexOf(name) : 99);
  return channels.sort((a, b) => place(a.name) - place(b.name));
}

const KINDS = { lightbulb: "Light bulb", temperature: "Thermometer", "blood-pressure": "Blood pressure monitor",
  "soil-moisture": "Soil sensor", host: "Computer", replay: "Recording" };
export const kindText = (kind) => wordIn(KINDS, kind) ?? (kind === "" ? "Device" : kind);

/** Of a stream: how fresh its sender's word is. */
export const LIVENESS = {
  live: { word: "live", meaning: "The device has just answered a question of this page: it is there, now." },
  late: { word: "late", meaning: "The device has answered before, but not in the last seconds: it may be slow, asleep, or cut off." },
  history: { word: "history", meaning: "Nothing shows that this was said lately: the device has not answered yet, or somebody shows you old records." },
};

/** Of a value: how far it may be believed. */
export const BELIEF = {
  confirmed: { word: "confirmed", meaning: "The device has signed for this record: it is what the device sent, at its place." },
  pending: { word: "pending", meaning: "It opened under the right key. The device's signature, which covers it, follows within seconds." },
  warn: { word: "bad reading", meaning: "The device itself says that it could not measure." },
};

/** What stands in red on a card, by how it begins. */
export const FLAGS = {
  missing: "The device numbers its records, and those with these numbers have not come: they were lost or held back on the way.",
  lost: "The device itself says, signed, that it had to throw away the records with these numbers.",
  stale: "The device has signed nothing for too long: it is off, or somebody keeps its words from you.",
  conflict: "Two different records claim the same number. Only one can be true.",
  contradicted: "What was read is not what the device has signed for.",
  "tail unknown": "The device was restarted and cannot say which record was its last before.",
  "cloned or rolled back": "There are two of this device, or it was put back to an earlier state.",
  "provider rolled back": "The cloud shows less of it than it has shown before.",
  "after removal": "It no longer belongs to this home.",
  waiting: "It has not been seen under the keys of the newest epoch yet.",
};
export const flagMeaning = (flag) => FLAGS[Object.keys(FLAGS).find((begin) => flag.startsWith(begin))] ?? null;

const ALARMS = {
  handshake_failed: "A caller was not let in",
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
export const alarmText = (kind) => wordIn(ALARMS, kind) ?? kind.replaceAll("_", " ");

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
