#!/usr/bin/env python3
"""What C2 and C3 judge by, without processes: the table of what stays unsolved, the product's profile, the host's plan, and what became of it."""

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


def manipulated():
    """What the host did to two streams, all of it named; the last record of the first was brought again by its sender."""
    rows = [{"stream": "a", "sequence": n, "do": ("edit", "swap", "delete")[n % 3], "sha256_before": f"a{n}", "noticed": "alarm open_failed", "delivered": 0} for n in range(90)]
    rows += [{"stream": stream, "sequence": n, "do": "rollback", "sha256_before": f"{stream}{n}", "noticed": "missing", "delivered": 0}
             for stream in "ab" for n in range(100, 106)]
    rows[95].update(noticed="", delivered=1)
    return rows, {("a", 105): {"a105"}}


class ManipulationsTest(unittest.TestCase):
    def setUp(self):
        self.rows, self.stored = manipulated()

    def wrong(self):
        return " and ".join(c2.check_manipulations(self.rows, c2.brought_again(self.rows, self.stored)))

    def test_what_a_sender_brought_again_is_no_loss(self):
        self.assertEqual(c2.brought_again(self.rows, self.stored), {("a", 105)})
        self.assertEqual(self.wrong(), "")

    def test_only_the_same_bytes_are_brought_again(self):
        for stored, again in (({("a", 105): {"other"}}, set()), ({}, set()), ({("a", 105): {"what the host made", "a105"}}, {("a", 105)})):
            self.assertEqual(c2.brought_again(self.rows, stored), again)

    def test_what_was_not_brought_again_must_be_noticed_and_not_delivered(self):
        self.stored = {}
        self.assertIn("1 of 102 were not noticed", self.wrong())
        self.assertIn("1 manipulated records were delivered", self.wrong())

    def test_brought_again_and_not_delivered_is_lost(self):
        self.rows[95]["delivered"] = 0
        self.assertIn("neither delivered nor named", self.wrong())

    def test_a_rollback_that_took_nothing_away_shows_nothing(self):
        self.stored = {(stream, n): {f"{stream}{n}"} for stream in "ab" for n in range(102, 106)}
        self.assertIn("it shows nothing", self.wrong())

    def test_too_few_or_a_kind_that_is_missing_is_refused(self):
        self.rows = [row for row in self.rows if row["do"] != "delete"]
        self.assertIn("were made", self.wrong())


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
