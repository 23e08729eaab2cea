"""The programs' interface as protoc reads it: which calls there are, and what their messages hold (descriptor.proto of Protobuf)."""

import functools
import subprocess
import tempfile

import paths  # noqa: F401
from harness import ROOT
from watched import fields

STRING, MESSAGE, BYTES, ENUM = 9, 11, 12, 14  # FieldDescriptorProto.Type
REPEATED = 3  # FieldDescriptorProto.Label
# Bytes that are a message of the interface, serialized once for all hops.
SERIALIZED = {(".keystead.v1.PublishRequest", "groups"): ".keystead.v1.SealedGroup"}
OF_EQUIPMENT = ("InfraControl",)  # services that neither backend nor gateway has
FOLDER = ROOT / "proto"


class Field:
    """`kind`: FieldDescriptorProto.Type; `message`: the full name of a message's type."""

    def __init__(self, number, kind, message, repeated):
        self.number, self.kind, self.message, self.repeated = number, kind, message, repeated


class Call:
    def __init__(self, service, name, request, answer):
        self.service, self.name, self.request, self.answer = service, name, request, answer


class Interface:
    """`messages`: full name → {field → Field}; `calls`: of all services."""

    def __init__(self, descriptor_set):
        self.messages, self.calls = {}, []
        for file in (value for number, value in fields(descriptor_set) if number == 1):
            package = dict(fields(file)).get(2, b"").decode()
            for number, value in fields(file):
                if number == 4:
                    self._message(f".{package}", value)
                if number == 6:
                    self._service(value)

    def _message(self, scope, descriptor):
        name = f"{scope}.{dict(fields(descriptor))[1].decode()}"
        of = self.messages[name] = {}
        for number, value in fields(descriptor):
            if number == 2:
                field = dict(fields(value))
                within = SERIALIZED.get((name, field[1].decode()))
                of[field[1].decode()] = Field(field[3], MESSAGE if within else field[5], within or field.get(6, b"").decode(), field[4] == REPEATED)
            if number == 3:
                self._message(name, value)

    def _service(self, descriptor):
        service = dict(fields(descriptor))[1].decode()
        for number, value in fields(descriptor):
            if number == 2:
                method = dict(fields(value))
                self.calls.append(Call(service, method[1].decode(), method[2].decode(), method[3].decode()))

    def of_hops(self):
        return [call for call in self.calls if call.service not in OF_EQUIPMENT]

    def holds_bytes(self, message, above=()):
        """Whether bytes stand anywhere in it."""
        return any(field.kind == BYTES or (field.kind == MESSAGE and field.message not in above and self.holds_bytes(field.message, (*above, message)))
                   for field in self.messages[message].values())

    def names_tenant(self, message):
        field = self.messages[message].get("tenant")
        return field is not None and field.kind == STRING


@functools.cache
def interface():
    """Of all .proto files of the project."""
    files = sorted(map(str, FOLDER.glob("keystead/v1/*.proto")))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"--proto_path={FOLDER}", f"--descriptor_set_out={out.name}", "--include_imports", *files], check=True)
        return Interface(out.read())
