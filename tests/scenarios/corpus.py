"""Requests that are wrong in one field each, of every call of the interface: what IAC.2a wants tried (range, size, unknown enum, text that is no UTF-8,
duplicate, another type), around fields that are right as far as a caller knows them."""

from interface import BYTES, ENUM, MESSAGE, STRING
from stranger import field, varint

DEEP = 3  # messages within messages, as far as they are looked into
LONG = 20_000  # bytes: more than any name, id or message of joining may have
FIXED_32 = 5  # wire type


def right(interface, message, known, depth=0):
    """{field → its bytes} of a request in which every field stands: what `known` has by the field's name, otherwise something of its type."""
    parts = {}
    for name, of in interface.messages[message].items():
        if of.kind == MESSAGE:
            value = b"".join(right(interface, of.message, known, depth + 1).values()) if depth < DEEP else b""
        elif of.kind in (STRING, BYTES):
            value = known.get(name, b"\x01" * 16 if of.kind == BYTES else "telemetry/" + "01" * 16)
        else:
            value = known.get(name, 1)
        parts[name] = field(of.number, value)
    return parts


def wrong(of):
    """What is wrong → the bytes of a field, with its number."""
    number, whole = of.number, varint(of.number << 3)
    found = {"another type": varint(number << 3 | FIXED_32) + b"\xff" * 4, "a length beyond the end": varint(number << 3 | 2) + varint(1 << 31)}
    if of.kind in (STRING, BYTES):
        found |= {"empty": field(number, b""), "one byte": field(number, b"\x00"), "too long": field(number, b"a" * LONG)}
    if of.kind == STRING:
        found["no UTF-8"] = field(number, b"\xc3\x28\xff")
    if of.kind == MESSAGE:
        found |= {"noise": field(number, b"\xde\xad\xbe\xef" * 8), "itself again and again": field(number, field(number, field(number, b"\xff")))}
    if of.kind not in (STRING, BYTES, MESSAGE):
        found |= {"the largest number": whole + b"\xff" * 9 + b"\x01", "a number that does not end": whole + b"\xff" * 11, "zero": whole + b"\x00"}
    if of.kind == ENUM:
        found["no value of this enum"] = field(number, (1 << 31) - 1)
    if not of.repeated:
        one, other = (b"\x07" * 16, b"\x08" * 16) if of.kind in (STRING, BYTES, MESSAGE) else (1 << 20, 1 << 21)
        found["twice, and different"] = field(number, one) + field(number, other)
    return found


def inner(interface, message, depth=0, above=()):
    """Every field of a request, also within its messages: (where, Field, what closes around a value of it)."""
    for name, of in interface.messages[message].items():
        where = ".".join((*above, name))
        yield where, of
        if of.kind == MESSAGE and depth < DEEP:
            yield from inner(interface, of.message, depth + 1, (*above, name))


def put(interface, message, known, where, bad):
    """A request with `bad` in the place of the field `where`."""
    first, _, rest = where.partition(".")
    parts = right(interface, message, known)
    of = interface.messages[message][first]
    parts[first] = field(of.number, put(interface, of.message, known, rest, bad)) if rest else bad
    return b"".join(parts.values())


def malformed(interface, call, known):
    """{what is wrong → the request} of one call."""
    return {f"{where}: {what}": put(interface, call.request, known, where, bad)
            for where, of in inner(interface, call.request) for what, bad in wrong(of).items()}
