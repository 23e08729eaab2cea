"""The keys that a phone keeps, read from its folder, so that the search can look for them elsewhere.

The file `member` is CBOR [1, content, SHA-256(content)] (mobile-stub/app_state.h); content is Member::Serialize
(core/sealing/member.cc), whose fourth item is the signing key IK, the fifth the HPKE key K, and the eighth the key ring:
[epoch, epoch secret, [[topic, T]], [[epoch, topic, sender, S]]]."""

import hashlib
import hmac
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


def kept_member(state):
    """The items of Member::Serialize that an app keeps."""
    with open(os.path.join(state, "member"), "rb") as file:
        (version, content, digest), _ = decode(file.read())
    if version != 1 or hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{state}/member is not what app_state.h says")
    return decode(content)[0]


def of_phone(name, state, recovery):
    """Name of the key → its bytes. Every one of them would open or sign for a whole home."""
    member = kept_member(state)
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


def encoded(*items):
    """A CBOR array (RFC 8949, deterministic) of texts, byte strings and whole numbers."""
    def head(kind, value):
        for size, low in ((0, 24), (1, 24), (2, 25), (4, 26), (8, 27)):
            if not size and value < 24:
                return bytes([kind << 5 | value])
            if size and value < 1 << 8 * size:
                return bytes([kind << 5 | low]) + value.to_bytes(size, "big")
        raise ValueError(value)
    parts = [head(4, len(items))]
    for item in items:
        data = item.encode() if isinstance(item, str) else item
        parts.append(head(0, data) if isinstance(data, int) else head(3 if isinstance(item, str) else 2, len(data)) + data)
    return b"".join(parts)


def expanded(key, info):
    """HKDF-Expand (RFC 5869 section 2.3) with SHA-256, to 32 bytes."""
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def derived(state, instantiation, senders):
    """What follows from a phone's epoch secret (docs/protocol.md, "Keys"): the reading key of each topic and the sending key of each who writes in it.
    `senders`: topic → member ids; name of the key → its bytes."""
    epoch, secret, _, _ = decode(kept_member(state)[7])[0]
    keys = {}
    for topic, members in senders.items():
        reading = keys[f"reading key of {topic} in epoch {epoch}"] = expanded(secret, encoded("ks1 topic", instantiation, epoch, topic))
        for member in members:
            keys[f"sending key of {member.hex()} for {topic} in epoch {epoch}"] = expanded(reading, encoded("ks1 sender", member))
    return keys
