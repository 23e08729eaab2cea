"""The keys that a phone keeps, read from its folder, so that the search can look for them elsewhere.

The file `member` is CBOR [1, content, SHA-256(content)] (mobile-stub/app_state.h); content is Member::Serialize
(core/sealing/member.cc), whose fourth item is the signing key IK, the fifth the HPKE key K, and the eighth the key ring:
[epoch, epoch secret, [[topic, T]], [[epoch, topic, sender, S]]]."""

import hashlib
import os


def decode(data, at=0):
    """One CBOR item (RFC 8949) of the kinds that the project writes: (value, where it ends)."""
    kind, low = data[at] >> 5, data[at] & 31
    at += 1
    value = low
    if low >= 24 and kind != 7:
        size = 1 << (low - 24)
        value = int.from_bytes(data[at:at + size], "big")
        at += size
    if kind in (2, 3):
        text = bytes(data[at:at + value])
        return (text if kind == 2 else text.decode()), at + value
    if kind == 4:
        items = []
        for _ in range(value):
            item, at = decode(data, at)
            items.append(item)
        return items, at
    if kind == 7:
        return {20: False, 21: True}.get(low), at
    return (-1 - value if kind == 1 else value), at


def of_phone(name, state, recovery):
    """Name of the key → its bytes. Every one of them would open or sign for a whole home."""
    with open(os.path.join(state, "member"), "rb") as file:
        (version, content, digest), _ = decode(file.read())
    if version != 1 or hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{state}/member is not what app_state.h says")
    member, _ = decode(content)
    epoch, secret, topics, senders = decode(member[7])[0]
    with open(recovery, encoding="ascii") as file:
        written = bytes.fromhex(file.read().strip().removeprefix("KSRK1:"))
    keys = {f"epoch secret {epoch} of {name}": secret}
    for what, key in (("signing key", member[3]), ("HPKE key", member[4]), ("recovery key", written)):
        keys[f"{what} of {name}"] = key
        keys[f"{what} of {name}, least byte first"] = key[::-1]  # as OpenSSL holds a large number
    keys |= {f"reading key of {topic} of {name}": key for topic, key in topics}
    keys |= {f"sending key of {sender.hex()} for {topic} in epoch {at} of {name}": key for at, topic, sender, key in senders}
    if any(len(key) != 32 for key in keys.values()):
        raise ValueError(f"{state}/member or {recovery} holds keys of an unknown size")
    return keys
