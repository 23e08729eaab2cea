"""What somebody without keys sees of sealed records: where two of a stream were sealed under one nonce."""

WORD = 8  # bytes in which two ciphertexts of other nonces agree once in 2^64


def ciphertext(cose):
    """The third item of a COSE_Encrypt0: enough CBOR (RFC 8949) for arrays, maps, strings and small numbers."""
    def head(at):
        kind, low = cose[at] >> 5, cose[at] & 31
        if low < 24:
            return kind, low, at + 1
        size = 1 << (low - 24)
        return kind, int.from_bytes(cose[at + 1:at + 1 + size], "big"), at + 1 + size

    def skip(at):
        kind, value, at = head(at)
        if kind in (2, 3):
            return at + value
        for _ in range({4: value, 5: 2 * value, 6: 1}.get(kind, 0)):
            at = skip(at)
        return at
    kind, count, at = head(0)
    if kind != 4 or count != 3:
        return None
    kind, size, at = head(skip(skip(at)))
    return cose[at:at + size] if kind == 2 else None


def held_under_keys(lines):
    """Of what `raw` prints, the records that the hop holds and that name a key."""
    return [line for line in lines if line["event"] == "held" and line["kid"]]


def repetitions(held):
    """Of records as `raw` prints them, those that begin like an earlier one of their stream. What a member says begins alike again
    and again, so under one key and one nonce the ciphertexts do."""
    seen, again = {}, []
    for record in held:
        body = ciphertext(bytes.fromhex(record["cose"]))
        if body is None or len(body) < 3 * WORD:
            continue
        first = seen.setdefault((record["stream"], body[:WORD]), record["sequence"])
        if first != record["sequence"]:
            again.append({"stream": record["stream"], "sequence": record["sequence"], "begins_like": first})
    return again
