#!/usr/bin/env python3
"""What C2 and C3 judge by, without processes: the table of what stays unsolved, the product's profile, the host's plan."""

import pathlib
import tempfile
import unittest

import yaml

import paths  # noqa: F401
import scenario
from checks import c2, c3
from grants import Adversary, NotGranted


def lines(stream, log, count):
    return [{"tenant": 1, "log": log, "offset": n, "sequence": n, "stream": stream} for n in range(1, count + 1)]


class UnsolvedTest(unittest.TestCase):
    def setUp(self):
        self.table = scenario.load(scenario.find("C2")).value["unsolved"]

    def test_the_files_table_is_complete(self):
        self.assertEqual(c2.check_unsolved(self.table), [])

    def test_an_empty_table_is_refused(self):
        for empty in ([], None):
            self.assertIn("empty", c2.check_unsolved(empty)[0])

    def test_each_of_the_five_must_be_there_with_a_reason_and_what_was_measured(self):
        for n, entry in enumerate(self.table):
            self.assertTrue(c2.check_unsolved(self.table[:n] + self.table[n + 1:]), entry["is"])
            for key in ("because", "measured"):
                self.assertTrue(c2.check_unsolved([*self.table[:n], {**entry, key: " "}, *self.table[n + 1:]]))


class ProfileTest(unittest.TestCase):
    def setUp(self):
        self.profile = yaml.safe_load(c3.PROFILE.read_text(encoding="utf-8"))
        self.seen = {kind: {str(name): 1 for name, entry in self.profile[kind].items() if "when" not in entry} for kind in ("tables", "fields")}

    def test_what_is_stored_and_declared_agrees(self):
        self.assertEqual(c3.undeclared(self.profile, self.seen), [])

    def test_one_field_more_or_less_is_found(self):
        for kind, extra in (("tables", "77"), ("fields", "header.mood"), ("fields", "records.unknown")):
            self.assertEqual(len(c3.undeclared(self.profile, {**self.seen, kind: {**self.seen[kind], extra: 1}})), 1)
        for kind in ("tables", "fields"):
            gone = dict(self.seen[kind])
            gone.popitem()
            self.assertEqual(len(c3.undeclared(self.profile, {**self.seen, kind: gone})), 1)

    def test_a_field_without_a_purpose_is_found(self):
        fields = {**self.profile["fields"], "records.cose": {"purpose": ""}}
        self.assertEqual(len(c3.undeclared({**self.profile, "fields": fields}, self.seen)), 1)


class InterfaceTest(unittest.TestCase):
    def test_an_rpc_that_answers_with_bytes_names_a_tenant(self):
        wide, rpcs, carrying = c3.spans_tenants()
        self.assertEqual(wide, [])
        self.assertGreater(rpcs, carrying)
        self.assertGreater(carrying, 8)  # Subscribe, Fetch, Export, Backup, Audit, Held …

    def test_the_closed_list_is_needed(self):
        kept, c3.OF_ONE = c3.OF_ONE, {}
        try:
            self.assertEqual(sorted(c3.spans_tenants()[0]), ["Await", "Fetch"])
        finally:
            c3.OF_ONE = kept


class PlanTest(unittest.TestCase):
    def test_no_record_is_manipulated_twice_and_no_copied_one_at_all(self):
        streams = {"a": lines("a", 1, 30), "b": lines("b", 2, 31), "c": lines("c", 3, 40)}
        orders = c2.plan(streams)

        def place(where):
            return (where["log"], where["offset"], where["sequence"])
        hit = [place(order["at"]) for order in orders] + [place(order["with"]) for order in orders if order["do"] == "swap"]
        copied = [place(order["with"]) for order in orders if order["do"] == "delete"]
        self.assertEqual(len(hit), len(set(hit)))
        self.assertFalse(set(hit) & set(copied))
        self.assertEqual({order["do"] for order in orders}, {"edit", "swap", "delete"})
        self.assertGreater(len(hit), 70)


class MachineTest(unittest.TestCase):
    def test_a_machine_is_had_only_where_it_is_granted_and_is_no_file(self):
        with tempfile.TemporaryDirectory() as folder:
            granted = {"files": {"backend": ["machine"]}}
            adversary = Adversary("host", granted, folder, lambda process, what: f"{what} of {process}", {})
            self.assertEqual(adversary.machine("backend"), "machine of backend")
            self.assertEqual(adversary.take_all(), [])
            with self.assertRaises(NotGranted):
                adversary.machine("phone")
            self.assertEqual(list(pathlib.Path(folder).rglob("*")), [pathlib.Path(folder) / "host"])


if __name__ == "__main__":
    unittest.main()
