#!/usr/bin/env python3
"""What comes after a negative test is judged, and each thing that could be wrong with it is noticed."""

import types
import unittest
from unittest import mock

import aftermath
import driver
from harness import Failure
from refusals import refusals
from registry import NotMet


class Log:
    def __init__(self):
        self.entries = []

    def mark(self):
        return len(self.entries)

    def find(self, event, predicate, start=0):
        del event
        return [entry for entry in self.entries[start:] if predicate(entry)]

    def ring(self, peer, count=1, kind="not_permitted"):
        self.entries.append({"kind": kind, "peer": peer, "count": count})


class Hop:
    name = "hop"

    def __init__(self):
        self.log = Log()


class State:
    """In the place of aftermath.Settled: what stands in it is given."""

    def __init__(self, **parts):
        self.members, self.tenants, self.processes = {"home": "a"}, {"backend": "b"}, {"bulb": 1}
        self.records = {("backend", 1): "x", ("backend", 2): "y"}
        self.sealed = {"x", "y"}
        self.__dict__.update(parts)

    differs = aftermath.Settled.differs
    there_is = aftermath.Settled.there_is


class AftermathTest(unittest.TestCase):
    def setUp(self):
        self.hop = Hop()
        self.run = types.SimpleNamespace(wired=None, stack=object(), silent=set(), settled=None, served=0, within=driver.Run.within, ended_on_purpose=set())
        self.run.new_readings = self.serve
        self.after = State()

    def serve(self, count, without):
        self.assertEqual((count, without), (1, self.run.silent))
        self.run.served += 1

    def judged(self, refused=0, rings=0, alone=True, **assertion):
        def function(run):
            if refused:
                refusals(run.stack).add(self.hop, "peer", self.hop.log.mark(), refused, alone=alone)
            for _ in range(rings):
                self.hop.log.ring("peer")
            self.hop.log.ring("somebody else")
            return "seen"
        self.run.settled = None
        with (mock.patch.object(aftermath, "Settled", side_effect=[State(), self.after]), mock.patch.object(aftermath, "RANG_BY", 0.05),
              mock.patch.object(aftermath, "processes", side_effect=[State().processes, self.after.processes])):
            return aftermath.judged({"id": "X.1", "polarity": "negative", **assertion}, function, self.run)[0]

    def refused(self, text, *words, **assertion):
        with self.assertRaisesRegex(NotMet, text):
            self.judged(*words, **assertion)

    def test_all_is_as_it_was_everybody_serves_and_each_refusal_rang_once(self):
        self.assertEqual(self.judged(3, 3), "seen | afterwards: members, tenants, records, processes as before (2 records), everybody serves, 3 refusals rang 3 times")
        self.assertEqual(self.run.served, 1)

    def test_a_refusal_that_does_not_ring_or_rings_twice_is_noticed(self):
        self.refused("refused 3 times, and hop rang 2 times", 3, 2)
        self.refused("refused 3 times, and hop rang 4 times", 3, 4)
        self.judged(3, 4, False)  # another process under the same name
        self.refused("refused 3 times, and hop rang 2 times", 3, 2, False)

    def test_what_came_before_does_not_count(self):
        self.hop.log.ring("peer")
        refusals(self.run.stack).add(self.hop, "peer", 0, 1)
        self.assertIn("everybody serves", self.judged())

    def test_more_records_are_fine_and_one_that_is_gone_or_another_is_not(self):
        first, second, third = (("backend", number) for number in (1, 2, 3))
        self.after = State(records={first: "x", second: "y", third: "z"})
        self.judged()
        for records in ({first: "x"}, {first: "x", second: "z"}):
            self.after = State(records=records)
            self.refused("not as it was: {'records': \\['backend'\\]}")
        self.after = State(processes={"bulb": 2})
        self.refused("not as it was: {'processes': \\['bulb'\\]}")

    def test_what_an_assertion_may_change_it_must_change(self):
        self.after = State(members={"home": "c"})
        out = {"of": ["home"], "because": "somebody is put out"}
        self.assertIn("tenants, records, processes as before", self.judged(changes={"members": out}))
        self.refused("as it was: {'tenants': \\['backend'\\]}", changes={"members": out, "tenants": {"of": ["backend"], "because": "one comes"}})
        self.after = State(members={"home": "c", "cabin": "d"}, processes={"bulb": None})
        self.refused("not as it was: {'processes': \\['bulb'\\]}", changes={"members": out})

    def test_what_was_refused_and_is_stored_is_noticed(self):
        refused = types.SimpleNamespace(take=lambda: ([], {"z"}))
        with mock.patch.object(aftermath, "refusals", return_value=refused):
            self.judged()
            self.after = State(sealed={"x", "y", "z"})
            self.refused("1 of 1 records are stored whose writing was refused")

    def test_who_serves_no_more_fails_the_assertion(self):
        def fails(count, without):
            raise Failure("waited in vain")
        self.run.new_readings = fails
        self.refused("not everybody serves: waited in vain")

    def positive(self, after, error=None):
        def function(run):
            if error:
                raise error
            return "seen"
        with mock.patch.object(aftermath, "processes", side_effect=[{"bulb": 1, "hub": 2}, after]):
            return driver.answer_of({"id": "X.1", "polarity": "positive", "expected": "it"}, function, self.run)

    def test_what_an_assertion_stops_it_has_to_start_again(self):
        self.assertEqual((self.positive({"bulb": 1, "hub": 2}), self.run.served), ("seen", 0))
        self.assertEqual((self.positive({"bulb": 1, "hub": 3}), self.run.served), ("seen", 1))
        for error, text in ((None, "hub ran before it and runs no more$"), (NotMet("dark"), "runs no more, after NotMet: dark")):
            with self.assertRaisesRegex(aftermath.NotRestored, text):
                self.positive({"bulb": 1, "hub": None}, error)
        self.run.ended_on_purpose.add("hub")
        self.assertEqual((self.positive({"bulb": 1, "hub": None}), self.run.served), ("seen", 2))

    def test_what_an_assertion_exchanges_has_to_serve_also_when_it_failed(self):
        with self.assertRaisesRegex(NotMet, "dark"):
            self.positive({"bulb": 1, "hub": 3}, NotMet("dark"))
        self.assertEqual(self.run.served, 1)

        def fails(count, without):
            raise Failure("waited in vain")
        self.run.new_readings = fails
        for error in (None, NotMet("dark")):
            with self.assertRaisesRegex(aftermath.NotRestored, "hub was exchanged, and not everybody serves: waited in vain"):
                self.positive({"bulb": 1, "hub": 3}, error)

    def test_what_a_negative_one_may_stop_it_has_to_start_again(self):
        own = {"processes": {"of": ["bulb"], "because": "it is started anew"}}
        self.after = State(processes={"bulb": None})
        with self.assertRaisesRegex(aftermath.NotRestored, "bulb ran before"):
            self.judged(changes=own)
        self.refused("not as it was: {'processes': \\['bulb'\\]}")  # nobody was to stop it: it broke down
        self.after = State(processes={"bulb": 2})
        self.assertIn("everybody serves", self.judged(changes=own))

    def test_what_is_not_restored_is_an_error_and_no_verdict_of_the_product(self):
        told = types.SimpleNamespace(record=lambda *words: told.__dict__.update(words=words))
        assertion = {"id": "X.1", "polarity": "positive", "expected": "it"}
        self.assertEqual(driver.conclude(assertion, lambda: self.positive({"bulb": 1, "hub": None}), told)[0], "ERROR")
        self.assertEqual(told.words[1], "ERROR")

    def test_every_negative_assertion_is_judged_so_and_no_other(self):
        for name, polarity, wanted in (("S2.1", "negative", True), ("S2.4", "positive", False), ("S2.B6", "negative", False), ("S2.end", "negative", False)):
            with mock.patch.object(aftermath, "judged", return_value="judged"), mock.patch.object(aftermath, "processes", return_value={}):
                self.assertEqual(driver.answer_of({"id": name, "polarity": polarity, "expected": "it"}, lambda run: "seen", self.run) == "judged", wanted, name)


if __name__ == "__main__":
    unittest.main()
