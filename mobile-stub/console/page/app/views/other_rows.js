// Who there is between device and owner, and which of the copies that came back is whose.

export const ROWS = [
  { kind: "relay", title: "A relay on the way", holds: "nothing but TLS records: it has no certificate",
    connect: "keystead-infra-sim with --control-listen" },
  { kind: "balancer", title: "A load balancer on the way", holds: "valid certificates: it ends TLS and sees every message",
    connect: "keystead-infra-sim with --control-listen" },
  { kind: "gateway", title: "The gateway's disk", holds: "the records of the home, as its log has them",
    connect: "keystead-gateway with --observer" },
  { kind: "disk", title: "The cloud operator's disk", holds: "every tenant's records, encrypted at rest",
    connect: "keystead-backend with --observer" },
  { kind: "keystore", title: "The cloud operator, with the keystore", holds: "the same, after decrypting what is encrypted at rest",
    connect: "keystead-backend with --observer" },
];

const FORM_ROW = { passed: "balancer", sent: "balancer", withheld: "balancer", keystore: "keystore" };

const rowOf = (holder, copy) => (copy.form === "disk" ? (holder.holder === "gateway" ? "gateway" : "disk") : FORM_ROW[copy.form]);

/** What holders of one side (the home's, or the control's) have for this row. */
function sideOf(kind, holders) {
  const out = [];
  for (const holder of holders) {
    const found = kind === "relay" ? holder.tls.map((record) => ({ form: "tls", header: null, ...record }))
      : holder.copies.filter((copy) => rowOf(holder, copy) === kind);
    for (const copy of found) out.push({ ...copy, by: holder.name });
  }
  return out;
}

/** Those who were asked and said why not, where this row might be theirs: nobody knows what a process is that does not answer. */
const troubles = (holders) => holders.filter((holder) => holder.error !== "").map((holder) => `${holder.name}: ${holder.error}`);

export function rowsOf(look, remotes) {
  const home = look.holders.filter((holder) => !holder.control);
  const control = look.holders.filter((holder) => holder.control);
  return ROWS.map((row) => ({ ...row, copies: sideOf(row.kind, home), control: sideOf(row.kind, control),
    troubles: troubles(home), asked: remotes.some((remote) => !remote.control) }));
}
