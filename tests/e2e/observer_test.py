#!/usr/bin/env python3
"""What others see of a record: equipment, gateway and backend show the same bytes, none of them shows what is in it, and beside
that runs the same product with its sealing switched off, where all of them do."""

import base64
import hashlib
import json
import os
import pathlib
import sys
import unittest

import harness
import product
from harness import Stack, wait_until
from product import ACME, PROVIDER, Leaf
from world import World

sys.path.insert(0, str(pathlib.Path(harness.ROOT) / "scripts/lib"))
from demo_canary import Search  # noqa: E402

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
        self.group = base64.b64decode(raw["group"])
        self.stored = base64.b64decode(raw["stored"])
        self.sent = [base64.b64decode(sent) for sent in raw["sent"]]
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
    """A world whose processes may be looked into, with one device that measures a planted text."""

    def __init__(self, stack):
        self.stack = stack
        self.operator = None
        self.world = World(stack, {"acme": ACME}, backend_options=("--observer",), gateway_options=("--observer",))
        pki = self.world.pki
        self.backend = self.world.backend
        provider = ("--provider", f"{PROVIDER}={pki.provider_roots}")
        self.backend.process.command += provider
        product.pin_port(self.backend.process, "grpc")
        self.backend.process.terminate()
        self.backend.process.relaunch()
        self.operator = Leaf(os.path.join(pki.folder, "provider", "operator", "ops"), f"spiffe://{PROVIDER}/operator/ops")
        self.admin = pki.leaf(ACME, "admin", "watcher")
        self.home = self.world.homes["acme"]
        self.home.found(self.home.couriers)
        planted = stack.path("planted.csv")
        pathlib.Path(planted).write_text(f"{CANARY}\n" + "1.5\n" * 2000, encoding="ascii")
        self.home.add_device("planted", None, "--replay", planted, "--column", CANARY, "--rate", "20", "--interval", "0.1",
                             hop=self.home.device_hop)
        self.home.pair_devices()
        self.watch = self.home.app.watch()
        self.watch.wait_readings("planted", 3)

    def look(self, whom, *words, leaf=None, check=True):
        """One run of `keystead-admin held` against one holder."""
        pki = self.world.pki
        roots = pki.roots(ACME)
        if whom == "backend":
            address, server, roots, leaf = self.backend.address, self.backend.spiffe, self.backend.roots, leaf or self.operator
        elif whom == "gateway":
            address, server = self.home.gateway.address, self.home.gateway.spiffe
        else:
            address, server = whom.process.address("control"), f"spiffe://{ACME}/service/infra-control"
        result = self.stack.run("keystead-admin", "held", ACME, "--instantiation", self.home.instantiation, *words, "--json",
                                "--backend", address, "--backend-id", server, *(leaf or self.admin).options(roots), check=check)
        if not check:
            return result
        answer = json.loads(result.stdout)
        answer["held"] = [Held(raw) for raw in answer["groups"]]
        return answer

    def holders(self):
        return {"relay of the LAN": self.world.lan_wires, "balancer of the LAN": self.world.lan_balancers, "gateway": "gateway",
                "relay of the WAN": self.world.wires, "balancer of the WAN": self.world.wan, "backend": "backend"}

    def place(self, record):
        return ",".join(str(record[part]) for part in ("topic", "sender", "epoch", "stream", "sequence"))

    def newest_reading(self):
        return self.watch.wait_readings("planted", 1, start=self.watch.events.mark())[-1]


class ObserverTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("observer")
        cls.addClassCleanup(cls.stack.close)
        cls.seen = Watched(cls.stack)

    def test_everybody_between_holds_the_same_record(self):
        record = self.seen.newest_reading()
        key = (record["stream"], record["sequence"])
        digests = {}
        for name, whom in self.seen.holders().items():
            if name.startswith("relay"):
                continue  # has TLS records, and cannot tell which of them carries it
            held = self.seen.look(whom, "--place", self.seen.place(record))["held"]
            self.assertTrue(held, f"{name} shows nothing of {key}")
            digests[name] = {one.records[key] for one in held}
        opened = {bytes.fromhex(one["cose"]) for one in self.seen.home.app.call("raw", "--topic", record["topic"], "--last", "64")
                  if (one["stream"], one["sequence"]) == key}
        digests["the owner's app"] = {hashlib.sha256(cose).hexdigest() for cose in opened}
        self.assertEqual(len(set.union(*digests.values())), 1, digests)
        self.assertEqual(len(digests), 5)

    def test_the_operators_disk_holds_other_bytes_than_its_keystore_makes_of_them(self):
        record = self.seen.newest_reading()
        held = self.seen.look("backend", "--place", self.seen.place(record))["held"][0]
        self.assertNotIn(held.group[:64], held.stored)
        self.assertNotIn(ACME.encode(), held.stored)
        self.assertIn(ACME.encode(), held.group, "outer fields are for everybody who carries it")

    def test_nobody_between_shows_what_was_measured(self):
        search = Search({"planted text": CANARY})
        record = self.seen.newest_reading()
        for name, whom in self.seen.holders().items():
            for words in (("--place", self.seen.place(record)), ("--last", "64")):
                answer = self.seen.look(whom, *words)
                shown = answer["held"] + [base64.b64decode(one["record"]) for one in answer["tls"]]
                self.assertTrue(shown, f"{name} shows nothing")
                for one in shown:
                    for data in (one,) if isinstance(one, bytes) else (one.group, one.stored, *one.sent):
                        self.assertEqual(search.in_bytes(data, name), set())

    def test_an_altered_copy_is_shown_as_it_came_and_as_it_went_on(self):
        box = self.seen.world.wan
        number = box.arm("modify", listener="gateway-backend", direction="up", target="cose_ciphertext", topic="telemetry/")
        self.assertEqual(box.wait_spent([number]), set())
        injection = next(one for one in box.injections(number))
        stream = base64.b64decode(injection["stream"]).hex()
        sender = base64.b64decode(injection["sender"]).hex()
        key = (stream, int(injection["sequence"]))
        place = ",".join([injection["topic"], sender, injection["epoch"], stream, injection["sequence"]])

        def seen():
            return [one for one in self.seen.look(box, "--place", place, "--listener", "gateway-backend")["held"] if one.attack == number]
        wait_until(seen, "the altered copy at the balancer")
        copy = seen()[0]
        original, injected = (base64.b64decode(injection[name]).hex() for name in ("original_sha256", "injected_sha256"))
        self.assertEqual(copy.records[key], original)
        self.assertEqual([records_of(sent)[key] for sent in copy.sent], [injected])
        # Behind it only the altered bytes are held, before it only the genuine ones.
        wait_until(lambda: self.seen.look("backend", "--place", place)["held"], "the record at the backend")
        self.assertEqual({one.records[key] for one in self.seen.look("backend", "--place", place)["held"]}, {injected})
        self.assertEqual({one.records[key] for one in self.seen.look("gateway", "--place", place)["held"]}, {original})

    def test_looking_is_for_administrators_and_operators(self):
        for whom, leaf in (("backend", self.seen.admin), ("gateway", self.seen.home.app.leaf),
                           (self.seen.world.wan, self.seen.home.app.leaf)):
            result = self.seen.look(whom, "--last", "1", leaf=leaf, check=False)
            self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        for process in (self.seen.backend.process, self.seen.home.gateway.process, self.seen.world.wan.process):
            process.wait_for("security", lambda entry: entry["kind"] == "not_permitted")


class ControlTest(unittest.TestCase):
    """The search above proves nothing unless it finds the text where nothing protects it."""

    def test_without_sealing_everybody_who_ends_tls_shows_it(self):
        with Stack("observer-control", mutant="no_sealing", bins=control_bins()) as stack:
            seen = Watched(stack)
            search = Search({"planted text": CANARY})
            record = seen.newest_reading()
            for name, whom in seen.holders().items():
                if name.startswith("relay"):
                    continue  # TLS is what it was
                held = seen.look(whom, "--place", seen.place(record))["held"]
                for one in held:
                    self.assertTrue(search.in_bytes(one.group, name), f"{name} does not show it")
                    if whom == "backend":
                        self.assertTrue(search.in_bytes(one.stored, name), "the disk does not show it")
                self.assertTrue(held, f"{name} shows nothing")


if __name__ == "__main__":
    unittest.main()
