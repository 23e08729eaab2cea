#!/usr/bin/env python3
"""The interface, read from its descriptors: nothing of it may be overlooked, or a matrix made from it has holes."""

import re
import unittest

import paths  # noqa: F401
import corpus
from harness import ROOT
from interface import interface


class InterfaceTest(unittest.TestCase):
    def test_every_call_of_every_file_is_there(self):
        text = "\n".join(re.sub("//.*", "", path.read_text(encoding="utf-8")) for path in (ROOT / "proto/keystead/v1").glob("*.proto"))
        self.assertEqual(sorted(call.name for call in interface().calls), sorted(re.findall(r"\brpc (\w+)", text)))
        self.assertGreater(len(interface().calls), 20)

    def test_what_a_message_holds_is_seen_through_what_it_holds(self):
        of = interface()
        self.assertTrue(of.holds_bytes(".keystead.v1.SubscribeResponse"), "groups of records, in a message of their own")
        self.assertFalse(of.holds_bytes(".keystead.v1.UsageRequest"))
        self.assertTrue(of.names_tenant(".keystead.v1.UsageRequest"))
        self.assertFalse(of.names_tenant(".keystead.v1.UsageResponse"))

    def test_every_field_of_every_request_is_spoilt_in_every_way_of_its_type(self):
        of, known = interface(), {"tenant": "acme.example"}
        for call in of.of_hops():
            found = corpus.malformed(of, call, known)
            places = {where for where, _ in corpus.inner(of, call.request)}
            self.assertEqual({what.split(": ")[0] for what in found}, places)
            self.assertEqual(len(set(found.values())), len(found), "each is another request")
            good = b"".join(corpus.right(of, call.request, known).values())
            self.assertFalse(good and good in found.values(), f"of {call.name} one is not spoilt")
        publish = next(call for call in of.calls if call.name == "Publish")
        spoilt = corpus.malformed(of, publish, known)
        self.assertIn("groups.header.epoch: the largest number", spoilt)
        self.assertNotEqual(spoilt["groups.header.topic: empty"], spoilt["groups.header.topic: no UTF-8"])


if __name__ == "__main__":
    unittest.main()
