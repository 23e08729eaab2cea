// The attacks that equipment knows (ArmRequest), in words that say what each does.

const FIELDS = {
  topic: "the topic", sender: "the sender", epoch: "the epoch", stream: "the stream", sequence: "the sequence", instantiation: "the home",
  tenant: "the tenant",
};
const PARTS = {
  cose_protected: "the protected header", cose_kid: "the key id", cose_partial_iv: "the Partial IV", cose_ciphertext: "the ciphertext",
  cose_tag: "the tag",
};

const change = (targets) => Object.entries(targets).map(([target, what]) => ({ kind: "modify", target, says: `Change ${what}` }));

/** What a balancer can do to a record: it ends TLS, and sees messages. */
export const ON_RECORDS = [
  { title: "Change the sealed object", attacks: change(PARTS) },
  { title: "Change what stands around it", attacks: change(FIELDS) },
  { title: "Take away", attacks: [
    { kind: "drop", target: "", says: "Swallow it" },
    { kind: "ack_and_drop", target: "", says: "Swallow it, and say that it arrived" },
    { kind: "delay", target: "", delay_ms: 2000, says: "Hold it back for two seconds" },
    { kind: "truncate", target: "", says: "Cut it off somewhere" },
    { kind: "truncate", target: "cose_ciphertext", says: "Shorten the ciphertext" }] },
  { title: "Put elsewhere", attacks: [
    { kind: "reorder", target: "", says: "Swap it with the next one" },
    { kind: "splice", target: "sequence", says: "Put it at another sequence" },
    { kind: "splice", target: "stream", says: "Put it into another stream" },
    { kind: "splice", target: "sender", says: "Say that another device sent it" },
    { kind: "splice", target: "topic", says: "Put it into another topic" }] },
  { title: "Repeat", attacks: [
    { kind: "duplicate", target: "", says: "Send it twice" },
    { kind: "replay", target: "", says: "Send an old one again" }] },
  { title: "Invent", attacks: [
    { kind: "forge", target: "", says: "Send one of its own after it" },
    { kind: "forge", target: "sequence", says: "Send one of its own in its place" },
    { kind: "forge", target: "stream", says: "Open a stream in a device's name" }] },
  { title: "Look", attacks: [{ kind: "read", target: "", says: "Look for meaning in it" }] },
];

/** What a relay can do to a TLS record: it has no certificate, and sees nothing else. */
export const ON_TLS = [
  { title: "A TLS record", attacks: [
    { kind: "modify", target: "", says: "Flip one bit" },
    { kind: "forge", target: "", says: "Put random bytes in its place" },
    { kind: "truncate", target: "", says: "Send half of it" },
    { kind: "splice", target: "", says: "Put another one in its place" },
    { kind: "duplicate", target: "", says: "Send it twice" },
    { kind: "replay", target: "", says: "Send an old one again" },
    { kind: "reorder", target: "", says: "Swap it with the next one" },
    { kind: "delay", target: "", delay_ms: 2000, says: "Hold it back for two seconds" },
    { kind: "drop", target: "", says: "Swallow it" },
    { kind: "ack_and_drop", target: "", says: "Swallow it and all that follow" },
    { kind: "read", target: "", says: "Look for meaning in it" }] },
];

export const TOPICS = [
  ["telemetry/", "readings"], ["command/", "commands"], ["state/", "reports and answers"], ["keyring", "keys and membership"],
];

export function attackText(attack) {
  const all = [...ON_RECORDS, ...ON_TLS].flatMap((group) => group.attacks);
  const list = attack.topic_prefix === "tls" ? ON_TLS[0].attacks : all;
  return list.find((one) => one.kind === attack.kind && one.target === attack.target)?.says ?? `${attack.kind} ${attack.target}`.trim();
}
