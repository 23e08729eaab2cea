"""The programs' interface as protoc reads it: which calls there are, and what their messages hold (descriptor.proto of Protobuf)."""

import functools
import subprocess
import tempfile

import paths  # noqa: F401
from harness import ROOT
from watched import fields

STRING, MESSAGE, BYTES = 9, 11, 12  # FieldDescriptorProto.Type
OF_EQUIPMENT = ("InfraControl",)  # services that neither backend nor gateway has
FOLDER = ROOT / "proto"


class Call:
    def __init__(self, service, name, request, answer):
        self.service, self.name, self.request, self.answer = service, name, request, answer


class Interface:
    """`messages`: full name → {field → (type, full name of its message)}; `calls`: of all services."""

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
                of[field[1].decode()] = (field[5], field.get(6, b"").decode())
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
        return any(kind == BYTES or (kind == MESSAGE and inner not in above and self.holds_bytes(inner, (*above, message)))
                   for kind, inner in self.messages[message].values())

    def names_tenant(self, message):
        return self.messages[message].get("tenant", (0, ""))[0] == STRING


@functools.cache
def interface():
    """Of all .proto files of the project."""
    files = sorted(map(str, FOLDER.glob("keystead/v1/*.proto")))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"--proto_path={FOLDER}", f"--descriptor_set_out={out.name}", "--include_imports", *files], check=True)
        return Interface(out.read())
