// Entropy in bits a byte, after Shannon, from how often each byte value occurs; and what random bytes of the same number would
// show, because few bytes cannot have many different values.

const VALUES = 256;

export function entropyOf(bytes) {
  if (bytes.length === 0) return 0;
  const counts = new Array(VALUES).fill(0);
  for (const byte of bytes) ++counts[byte];
  let bits = 0;
  for (const count of counts) {
    if (count > 0) bits -= (count / bytes.length) * Math.log2(count / bytes.length);
  }
  return bits;
}

const known = new Map();

/** The mean of entropyOf over `size` bytes of which every value is equally likely: the binomial distribution of one value's count. */
export function entropyOfRandom(size) {
  if (size < 2) return 0;
  if (known.has(size)) return known.get(size);
  const p = 1 / VALUES;
  let chance = size * Math.log1p(-p);  // logarithm: of no occurrence
  let bits = 0;
  for (let count = 1; count <= size; ++count) {
    chance += Math.log((size - count + 1) / count) + Math.log(p / (1 - p));
    bits -= VALUES * Math.exp(chance) * (count / size) * Math.log2(count / size);
    if (count > size * p && chance < -60) break;
  }
  known.set(size, bits);
  return bits;
}

/** In words: the figure, what it was reckoned over, and against what it has to be held. */
export function entropyText(bytes, of) {
  if (bytes.length < 2) return `too few bytes to reckon with (${bytes.length})`;
  const measured = entropyOf(bytes).toFixed(2);
  const random = entropyOfRandom(bytes.length).toFixed(2);
  const caution = bytes.length < 1024 ? "; so few bytes tell little" : "";
  return `${measured} bits a byte over ${bytes.length} bytes of ${of}; random bytes of that number show ${random}${caution}`;
}
