"""A client that is not ours (curl): whatever certificate it shows, it asks what it likes. Our own app refuses by itself to ask for a
home with another certificate than its own, and so cannot show that a hop refuses it."""

import pathlib
import struct
import subprocess

import paths  # noqa: F401
from harness import HERE, Failure
from refusals import refusals
from watched import fields, records_of

# google.rpc.Code. Who may not see a home is told the same as if there were none.
INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED = 3, 5, 7, 8, 16
REFUSED = (NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED)
RACES, CUT_SHORT = 8, 92  # tries; what curl ends with
PUBLISH = "Transport/Publish"
SECONDS = 4  # unless told otherwise: a stream that is served goes on for ever


class Answer:
    """What a call came to: `code` is grpc-status, None while the call was still being served when its time was over; `ended`: what curl ended with."""

    def __init__(self, code, said, messages, ended=0):
        self.code, self.said, self.messages, self.ended = code, said, messages, ended

    def cut_short(self):
        return self.code is None and self.ended == CUT_SHORT

    def __str__(self):
        return f"grpc-status {self.code} {self.said!r}, {len(self.messages)} messages"


class Stranger:
    """Everything that it is told is kept in `answers`. `alone`: nobody else asks under its certificate."""

    def __init__(self, stack, leaf, name, place=HERE, alone=True):
        self.stack, self.leaf, self.place = stack, leaf, place
        self.alone = alone
        self.answers = pathlib.Path(stack.path(f"{name}-answers"))
        self.answers.mkdir()

    def call(self, hop, method, message, seconds=SECONDS):
        """One gRPC call with one request (gRPC over HTTP/2: the trailers say what became of it). A server that refuses before it has the
        request ends the stream, and curl, which is still sending, may miss the trailers: then it asks again."""
        for _ in range(RACES):
            mark = hop.process.log.mark()
            [answer] = self._ask(hop, [(method, message)], seconds)
            self._note(hop, mark, method, message, answer)
            if not answer.cut_short():
                break
        return answer

    def call_all(self, hop, calls, seconds=SECONDS):
        """The answers to many calls (method, message), one after the other over as few connections as can be. Messages that do not fit into 64 KiB are better
        sent by themselves: see call."""
        mark = hop.process.log.mark()
        answers = self._ask(hop, calls, seconds)
        for at, (method, message) in enumerate(calls):
            self._note(hop, mark, method, message, answers[at])
            if answers[at].cut_short():
                answers[at] = self.call(hop, method, message, seconds)
        return answers

    def _note(self, hop, mark, method, message, answer):
        """Counts what was refused, and remembers what was not to be written."""
        refused = int(answer.code in REFUSED)
        if method == PUBLISH:
            told = [dict(fields(value)) for one in answer.messages for number, value in fields(one) if number == 2]
            told = {one.get(2, 0) for one in told if one.get(3) in REFUSED}
            written = [digests for at, digests in enumerate(sealed_in(message)) if refused or at in told]
            refusals(self.stack).add_written(digest for digests in written for digest in digests)
            refused += len(told)
        if refused or answer.cut_short():
            refusals(self.stack).add(hop.process, self.leaf.spiffe, mark, refused, int(answer.cut_short()), self.alone)

    def _ask(self, hop, calls, seconds):
        at = self.answers / f"{len(list(self.answers.iterdir())):04}"
        at.mkdir()
        options = ["silent", "http2", "insecure", ("tls13-ciphers", "TLS_AES_128_GCM_SHA256"), ("max-time", seconds), ("cert", self.leaf.chain),
                   ("key", self.leaf.key), ("header", "content-type: application/grpc"), ("header", "te: trailers"), ("write-out", r"%{exitcode} %{errormsg}\n")]
        parts = []
        for number, (method, message) in enumerate(calls):
            (at / f"request-{number}").write_bytes(struct.pack(">BI", 0, len(message)) + message)
            own = [("data-binary", f"@{at}/request-{number}"), ("dump-header", f"{at}/headers-{number}"), ("output", f"{at}/answer-{number}"),
                   ("url", f"https://{hop.address}/keystead.v1.{method}")]
            parts.append("".join(f"{one}\n" if isinstance(one, str) else f'{one[0]} = "{one[1]}"\n' for one in [*options, *own]))
        (at / "calls").write_text("next\n".join(parts), encoding="utf-8")
        result = subprocess.run([*map(str, self.place.inside), "curl", "--config", at / "calls"], capture_output=True, text=True,
                                timeout=seconds * len(calls) + 20, check=False)
        ends = result.stdout.splitlines()
        if len(ends) != len(calls):
            raise Failure(f"curl made {len(ends)} of {len(calls)} calls: {result.stderr.strip()}")
        return [answer_of(at, number, *end.split(" ", 1)) for number, end in enumerate(ends)]


def answer_of(at, number, ended, said):
    headers = dict(line.split(": ", 1) for line in read(at / f"headers-{number}").decode("latin-1").splitlines() if ": " in line)
    code = int(headers["grpc-status"]) if "grpc-status" in headers else None
    return Answer(code, headers.get("grpc-message", said), list(messages(read(at / f"answer-{number}"))), int(ended))


def sealed_in(publication):
    """Of each group of a PublishRequest the SHA-256 of its records; nothing where it is spoilt."""
    try:
        return [list(records_of(value).values()) for number, value in fields(publication) if number == 1]
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError):
        return []


def read(path):
    return path.read_bytes() if path.exists() else b""


def messages(data):
    """Each whole message of a gRPC body."""
    while len(data) >= 5:
        size = struct.unpack(">I", data[1:5])[0]
        if len(data) < 5 + size:
            return
        yield data[5:5 + size]
        data = data[5 + size:]


def varint(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """One field of a protobuf message: bytes, text or a whole number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def subscription(tenant, instantiation, topics):
    """A SubscribeRequest from the beginning of each topic."""
    return field(1, tenant) + field(2, instantiation) + b"".join(field(3, field(1, topic)) for topic in topics)


def group(tenant, instantiation, topic, sender, epoch, stream, cose):
    """A group of one record."""
    header = (field(1, tenant) + field(2, instantiation) + field(3, topic) + field(4, sender) + field(5, epoch) + field(6, stream))
    return field(1, header) + field(2, field(1, 1) + field(2, cose))


def publication(*of_group):
    """A PublishRequest with one group of one record; as group()."""
    return field(1, group(*of_group))


def served(stack, owner, leaf, hop, topics=("keyring",), seconds=SECONDS, alone=True):
    """(how many messages of the owner's home `hop` serves to whoever shows this certificate, what it says otherwise). `alone`: as Stranger's."""
    asking = Stranger(stack, leaf, f"asking-{len(list(pathlib.Path(stack.folder).glob('asking-*')))}", alone=alone)
    answer = asking.call(hop, "Transport/Subscribe", subscription(owner.tenant, bytes.fromhex(owner.instantiation), topics), seconds)
    return len(answer.messages), answer.said
