#!/usr/bin/env python3
"""What others see of a record: equipment, gateway and backend show the same bytes, none of them shows what is in it, and beside
that runs the same product with its sealing switched off, where all of them do."""

import base64
import hashlib
import pathlib
import sys
import unittest

import harness
from harness import Stack, wait_until
from product import ACME
from watched import CANARY, Watched, control_bins, records_of

sys.path.insert(0, str(pathlib.Path(harness.ROOT) / "scripts/lib"))
from demo_canary import Search  # noqa: E402


class ObserverTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("observer")
        cls.addClassCleanup(cls.stack.close)
        cls.seen = Watched(cls.stack).start()

    def test_everybody_between_holds_the_same_record(self):
        record = self.seen.newest_reading()
        key = (record["stream"], record["sequence"])
        digests = {}
        for name in self.seen.holders():
            if name.startswith("relay"):
                continue  # has TLS records, and cannot tell which of them carries it
            held = self.seen.look(name, "--place", self.seen.place(record))["held"]
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
        for name in self.seen.holders():
            for words in (("--place", self.seen.place(record)), ("--last", "64")):
                answer = self.seen.look(name, *words)
                shown = answer["held"] + [bytes.fromhex(one["record"]) for one in answer["tls"]]
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
            return [one for one in self.seen.look("balancer of the WAN", "--place", place, "--listener", "gateway-backend")["held"] if one.attack == number]
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
                           ("balancer of the WAN", self.seen.home.app.leaf)):
            result = self.seen.look(whom, "--last", "1", leaf=leaf, check=False)
            self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        for process in (self.seen.backend.process, self.seen.home.gateway.process, self.seen.world.wan.process):
            process.wait_for("security", lambda entry: entry["kind"] == "not_permitted")


class ControlTest(unittest.TestCase):
    """The search above proves nothing unless it finds the text where nothing protects it."""

    def test_without_sealing_everybody_who_ends_tls_shows_it(self):
        with Stack("observer-control", mutant="no_sealing", bins=control_bins()) as stack:
            seen = Watched(stack).start()
            search = Search({"planted text": CANARY})
            record = seen.newest_reading()
            for name in seen.holders():
                if name.startswith("relay"):
                    continue  # TLS is what it was
                held = seen.look(name, "--place", seen.place(record))["held"]
                for one in held:
                    self.assertTrue(search.in_bytes(one.group, name), f"{name} does not show it")
                    if name == "backend":
                        self.assertTrue(search.in_bytes(one.stored, name), "the disk does not show it")
                self.assertTrue(held, f"{name} shows nothing")


if __name__ == "__main__":
    unittest.main()
