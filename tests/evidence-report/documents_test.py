#!/usr/bin/env python3
"""The handbook's page and the threat model name nothing that does not exist, leave no outcome, scenario or adversary out, and have an
answer that can fail for every threat."""

import unittest

import links
import places
import scenario as scenarios
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
        line = "[a](protocol.md#honest-residuals) `core/sealing/reader.cc` S2.2a C1.B6 S7.1† S7† DP.3 NM-1 https://example.org [b](https://example.org/x)"
        self.assertEqual(links.problems(THREATS, line), [])

    def test_marks_follow_what_is_written(self):
        self.assertEqual(links.marked("S2† S2.2† S2.1† S7 S7.1 C1.1a"), "S2 S2.2a, S2.2b S2.1 S7† S7.1† C1.1a")

    def test_the_handbooks_page_names_every_outcome_and_every_scenario(self):
        text = HANDBOOK.read_text(encoding="utf-8")
        self.assertLessEqual(set(verdicts.Reference().outcomes), set(links.OUTCOME.findall(text)))
        named = {match.group(1) for match in links.ALONE.finditer(text)}
        self.assertEqual(named, {"S1", "S2", "S3", "S3b", "S4", "S5", "S6", "S7", "C1", "C2", "C3"})

    def test_the_handbooks_page_names_every_assertion_that_runs_at_its_outcome(self):
        rows = {row.split(" | ")[0].strip("| "): row for row in HANDBOOK.read_text(encoding="utf-8").splitlines() if row.startswith("| ")}
        for name in links.written():
            for assertion in scenarios.load(scenarios.find(name)).assertions:
                for outcome in assertion["outcomes"]:
                    ids = {match.group(0) for match in links.ASSERTION.finditer(rows[outcome])}
                    self.assertIn(assertion["id"], ids, outcome)

    def test_every_adversary_stands_in_the_threat_model(self):
        rows = [row.split(" | ")[0] for row in THREATS.read_text(encoding="utf-8").splitlines() if row.startswith("| adv-")]
        known = set(links.ADVERSARY.findall("\n".join(rows)))
        self.assertGreater(len(links.adversaries()), 10)
        self.assertEqual(links.adversaries() - known, set())

    def test_no_threat_is_without_an_answer_that_can_fail(self):
        rows = links.threats(THREATS.read_text(encoding="utf-8"))
        self.assertGreater(len(rows), 10)
        for name, row in rows.items():
            held = row.rstrip(" |").rsplit(" | ", 1)[1]
            runs = [match.group(0) for match in links.ASSERTION.finditer(held) if not match.group(0).endswith(links.MARK)]
            tests = [path for path in links.PATH.findall(held) if path.startswith("tests/")]
            self.assertTrue(runs or tests, f"{name}: nothing that exists holds it")


if __name__ == "__main__":
    unittest.main()
