"""A whole path whose processes may be looked into: what each of them holds of a record, asked of it with `keystead-admin held`."""

import hashlib
import json
import os
import pathlib

import harness
from product import ACME, PROVIDER, Leaf
from world import World

CANARY = "observed-canary-5d21"


def control_bins():
    """Where the programs are that can be broken on purpose: beside those under test."""
    folder = pathlib.Path(os.environ.get("KEYSTEAD_CONTROL_BIN_DIR") or harness.bin_dir().parents[1] / "mutants" / "bin")
    if not (folder / "keystead-backend").exists():
        raise harness.Failure(f"{folder} has no programs: the control needs the preset mutants (cmake --build --preset mutants)")
    return folder


class Held:
    """One group of an answer, taken apart as far as anybody can who has no key."""

    def __init__(self, raw):
        self.raw = raw
        self.group = bytes.fromhex(raw["group"])
        self.stored = bytes.fromhex(raw["stored"])
        self.sent = [bytes.fromhex(sent) for sent in raw["sent"]]
        self.listener, self.attack = raw["listener"], int(raw["attack"])
        self.records = records_of(self.group)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of each field of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def records_of(group):
    """(stream, sequence) → SHA-256 of the COSE object, of a SealedGroup."""
    parts = list(fields(group))
    header = dict(fields(next(value for number, value in parts if number == 1)))
    found = {}
    for number, value in parts:
        if number == 2:
            record = dict(fields(value))
            found[(header[6].hex(), record.get(1, 0))] = hashlib.sha256(record[2]).hexdigest()
    return found


class Watched:
    """A world with one device that measures a planted text, where operators and administrators may look."""

    def __init__(self, stack, canary=CANARY):
        self.stack = stack
        provider_roots = stack.path("pki", "provider", "ca.pem")
        self.world = World(stack, {"acme": ACME}, canaries=(canary,), gateway_options=("--observer",),
                           backend_options=("--observer", "--provider", f"{PROVIDER}={provider_roots}"))
        self.pki = pki = self.world.pki
        self.backend = self.world.backend
        self.operator = Leaf(os.path.join(pki.folder, "provider", "operator", "ops"), f"spiffe://{PROVIDER}/operator/ops")
        self.admin = pki.leaf(ACME, "admin", "watcher")
        self.home = self.world.homes["acme"]
        self.home.found(self.home.couriers)
        planted = stack.path("planted.csv")
        pathlib.Path(planted).write_text(f"{canary}\n" + "1.5\n" * 2000, encoding="ascii")
        self.home.add_device("planted", None, "--replay", planted, "--column", canary, "--rate", "20", "--interval", "0.1",
                             hop=self.home.device_hop)

    def start(self):
        """Pairs what was added, and watches."""
        self.home.pair_devices()
        self.watch = self.home.app.watch()
        self.watch.wait_readings("planted", 3)
        return self

    def holders(self):
        """Name → (address, who answers there, roots, the certificate that may look)."""
        roots = self.pki.roots(ACME)
        out = {"gateway": (self.home.gateway.address, self.home.gateway.spiffe, roots, self.admin),
               "backend": (self.backend.address, self.backend.spiffe, self.backend.roots, self.operator)}
        for name, infra in (("relay of the LAN", self.world.lan_wires), ("balancer of the LAN", self.world.lan_balancers),
                            ("relay of the WAN", self.world.wires), ("balancer of the WAN", self.world.wan)):
            out[name] = (infra.process.address("control"), f"spiffe://{ACME}/service/infra-control", roots, self.admin)
        return out

    def look(self, whom, *words, leaf=None, check=True):
        """One run of `keystead-admin held` against one holder."""
        address, server, roots, own = self.holders()[whom]
        result = self.stack.run("keystead-admin", "held", ACME, "--instantiation", self.home.instantiation, *words, "--json",
                                "--backend", address, "--backend-id", server, *(leaf or own).options(roots), check=check)
        if not check:
            return result
        answer = json.loads(result.stdout)
        answer["held"] = [Held(raw) for raw in answer["groups"]]
        return answer

    @staticmethod
    def place(record):
        return ",".join(str(record[part]) for part in ("topic", "sender", "epoch", "stream", "sequence"))

    def newest_reading(self):
        return self.watch.wait_readings("planted", 1, start=self.watch.events.mark())[-1]
