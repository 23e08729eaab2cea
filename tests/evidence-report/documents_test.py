#!/usr/bin/env python3
"""The handbook's page and the threat model name nothing that does not exist, leave no outcome, scenario or adversary out, count for each
outcome what the scenarios count, and have answers that can fail for every threat and whoever acts in it."""

import re
import unittest

import links
import places
import verdicts

HANDBOOK = places.ROOT / "docs/handbook.md"
THREATS = places.ROOT / "docs/threat-model.md"
BREAKS = {  # what a line says → what is found
    "see [it](nowhere.md)": "there is no nowhere.md",
    "see [it](protocol.md#no-such-heading)": "protocol.md has no heading #no-such-heading",
    "see [below](#no-such-heading)": "has no heading #no-such-heading",
    "in `core/sealing/no_such.cc`": "there is no core/sealing/no_such.cc",
    "by S2.99": "S2.99 is no assertion of S2",
    "by S2.2": "S2.2 is no assertion of S2; it has S2.2a, S2.2b",
    "by S2.1†": "S2 is written now",
    "in S2† it": "S2 is written now",
    "in S7 it": "S7 is not written yet",
    "by S7.1": "S7 is not written yet",
    "by S7.99†": "S7.99 is no assertion of S7",
    "asks DP.9": "DP.9 is no outcome",
    "see NM-99": "NM-99 is no limit",
    "by adv-nobody": "adv-nobody is no adversary",
    "`ReaderTest.ThereIsNone`": "there is no test ReaderTest.ThereIsNone",
}


class DocumentsTest(unittest.TestCase):
    def test_nothing_dangles(self):
        for path in (HANDBOOK, THREATS):
            self.assertEqual(links.problems(path), [])

    def test_each_kind_of_dangling_is_found(self):
        for line, said in BREAKS.items():
            with self.subTest(line):
                found = links.problems(THREATS, line)
                self.assertTrue(any(said in text for text in found), found)
                self.assertTrue(all(text.startswith("threat-model.md:1: ") for text in found), found)

    def test_what_exists_is_not_called_dangling(self):
        line = "[a](protocol.md#honest-residuals) `core/sealing/reader.cc` S2.2a C1.B6 S7.1† S7† DP.3 NM-1 https://example.org [b](https://example.org/x) " \
               "adv-hub `ReaderTest.ProviderRolledBack`"
        self.assertEqual(links.problems(THREATS, line), [])

    def test_marks_follow_what_is_written(self):
        self.assertEqual(links.marked("S2† S2.2† S2.1† S7 S7.1 C1.1a"), "S2 S2.2a, S2.2b S2.1 S7† S7.1† C1.1a")

    def test_the_handbooks_page_names_every_outcome_and_every_scenario(self):
        text = HANDBOOK.read_text(encoding="utf-8")
        self.assertLessEqual(set(verdicts.Reference().outcomes), set(links.OUTCOME.findall(text)))
        named = {match.group(1) for match in links.ALONE.finditer(text)}
        self.assertEqual(named, {"S1", "S2", "S3", "S3b", "S4", "S5", "S6", "S7", "C1", "C2", "C3"})

    def test_the_handbooks_page_names_at_each_outcome_what_counts_for_it_and_nothing_else(self):
        counted, seen = links.counted(), set()
        for row in HANDBOOK.read_text(encoding="utf-8").splitlines():
            for outcome in links.OUTCOME.findall(links.cells(row)[0]) if row.startswith("| ") else ():
                with self.subTest(outcome):
                    self.assertEqual(sorted(links.ids(row)), sorted(counted.get(outcome, [])))
                seen.add(outcome)
        self.assertLessEqual(set(counted), seen)

    def test_every_adversary_stands_in_the_threat_model(self):
        rows = [row.split(" | ")[0] for row in THREATS.read_text(encoding="utf-8").splitlines() if row.startswith("| adv-")]
        known = set(links.ADVERSARY.findall("\n".join(rows)))
        self.assertGreater(len(links.adversaries()), 10)
        self.assertEqual(links.adversaries() - known, set())

    def test_every_adversary_acts_in_a_threat(self):
        text = THREATS.read_text(encoding="utf-8")
        self.assertEqual(links.idle_adversaries(text), [])
        for name in links.adversaries():
            without = re.sub(rf"{re.escape(name)}(?![\w-])", "somebody", text)
            self.assertTrue(any(found.split(" of ")[0] == name for found in links.idle_adversaries(without)), name)
        self.assertIn("adv-gateway of S4", links.idle_adversaries(re.sub(r"\bS4\.[0-9]\w*", "S4.8†", text)))

    def test_no_threat_is_without_answers_that_can_fail(self):
        rows = links.threats(THREATS.read_text(encoding="utf-8"))
        self.assertGreater(len(rows), 10)
        for name, row in rows.items():
            held = links.cells(row)[-1]
            tests = [path for path in links.PATH.findall(held) if path.startswith("tests/")]
            self.assertTrue(links.ids(held) or tests or links.NAMED_TEST.search(held), f"{name}: nothing that exists holds it")
            self.assertEqual(set(links.ids(held)) - links.runnable(), set(), f"{name}: what does not run holds nothing")


if __name__ == "__main__":
    unittest.main()
