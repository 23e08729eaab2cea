// What a sealed object looks like to whoever has no key: COSE_Encrypt0 (RFC 9052, section 5.2) as sealed topics carry it.
// Anything else, and anything cut off, is shown as bytes without names.

/** The head of one CBOR item (RFC 8949, section 3) at `at`: {major, value, next}; null when it is cut off or of a form not read here. */
function head(bytes, at) {
  if (at >= bytes.length) return null;
  const major = bytes[at] >> 5;
  const low = bytes[at] & 31;
  if (low < 24) return { major, value: low, next: at + 1 };
  if (low > 26) return null;
  const size = 1 << (low - 24);
  if (at + 1 + size > bytes.length) return null;
  let value = 0;
  for (let i = 1; i <= size; ++i) value = value * 256 + bytes[at + i];
  return { major, value, next: at + 1 + size };
}

function byteString(bytes, at) {
  const start = head(bytes, at);
  if (start === null || start.major !== 2 || start.next + start.value > bytes.length) return null;
  return { begin: start.next, end: start.next + start.value };
}

const TAG_BYTES = 16;

/** The regions of an object, in order, without holes: [{name, begin, end}]; null when it has not this form. */
export function regionsOf(bytes) {
  const array = head(bytes, 0);
  if (array === null || array.major !== 4 || array.value !== 3) return null;
  const found = [];
  const guarded = byteString(bytes, array.next);
  if (guarded === null) return null;
  found.push({ name: "protected", ...guarded });
  const map = head(bytes, guarded.end);
  if (map === null || map.major !== 5) return null;
  let at = map.next;
  for (let i = 0; i < map.value; ++i) {
    const key = head(bytes, at);
    const value = key === null ? null : byteString(bytes, key.next);
    if (value === null) return null;
    const name = { 4: "kid", 6: "partial-iv" }[key.value];
    if (key.major === 0 && name !== undefined) {
      if (found.some((one) => one.name === name)) return null;  // a label stands once (section 3)
      found.push({ name, ...value });
    }
    at = value.end;
  }
  const sealed = byteString(bytes, at);
  if (sealed === null || sealed.end !== bytes.length || sealed.end - sealed.begin < TAG_BYTES) return null;
  found.push({ name: "ciphertext", begin: sealed.begin, end: sealed.end - TAG_BYTES });
  found.push({ name: "tag", begin: sealed.end - TAG_BYTES, end: sealed.end });
  return withHeads(found, bytes.length);
}

function withHeads(found, size) {
  const out = [];
  let at = 0;
  for (const region of found) {
    if (region.begin > at) out.push({ name: "head", begin: at, end: region.begin });
    if (region.end > region.begin) out.push(region);
    at = region.end;
  }
  if (at < size) out.push({ name: "head", begin: at, end: size });
  return out;
}

export const REGIONS = {
  protected: { title: "Protected header", says: "which algorithm; {1: 3} is AES-256-GCM" },
  kid: { title: "Key id", says: "names the stream's key to who has it" },
  "partial-iv": { title: "Partial IV", says: "the sequence number" },
  ciphertext: { title: "Ciphertext", says: "the readings, sealed" },
  tag: { title: "Tag", says: "any change anywhere breaks it" },
  head: { title: "CBOR", says: "lengths and counts" },
};

/** The same regions where nothing is sealed. */
export const UNSEALED = {
  ciphertext: { title: "Readings", says: "in plain text: sealing is off" },
  tag: { title: "Tag", says: "checked by nobody: sealing is off" },
};

export function bytesOf(hex) {
  const out = new Uint8Array(hex.length / 2);
  for (let i = 0; i < out.length; ++i) out[i] = parseInt(hex.substr(2 * i, 2), 16);
  return out;
}

export const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Which bytes of `copy` differ from `genuine`: an array of booleans. By region where both have the same ones, so that a region that
    grew does not make all that follows differ. */
export function changedBytes(copy, genuine) {
  const out = new Array(copy.length).fill(false);
  const mine = regionsOf(copy);
  const theirs = regionsOf(genuine);
  const same = mine !== null && theirs !== null && mine.length === theirs.length && mine.every((one, i) => one.name === theirs[i].name);
  const pairs = same ? mine.map((one, i) => [one, theirs[i]]) : [[{ begin: 0, end: copy.length }, { begin: 0, end: genuine.length }]];
  for (const [to, from] of pairs) {
    for (let i = to.begin; i < to.end; ++i) {
      const other = from.begin + i - to.begin;
      out[i] = other >= from.end || copy[i] !== genuine[other];
    }
  }
  return out;
}
