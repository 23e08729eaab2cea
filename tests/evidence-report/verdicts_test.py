#!/usr/bin/env python3
"""From assertions to a verdict: nothing becomes met by omission, and the worst decides."""

import dataclasses
import pathlib
import tempfile
import unittest
from unittest import mock

import verdicts
import model
import making
from making import make, make_all, scenario_of
from verdicts import Mutant, over_all, scenario_cell

KILLED = Mutant("S", "off", ["S.1"], "something is off", "killed", "exactly S.1 failed on it")


def entry(name, verdict="MET", polarity="negative", scenario="S", level="E3"):
    return {"assertion": name, "verdict": verdict, "polarity": polarity, "reason": "" if verdict == "MET" else "because", "scenario": scenario, "level": level}


GOOD = [entry("S.1"), entry("S.2", polarity="positive")]


def at(level):
    return [entry("S.1", level=level), entry("S.2", polarity="positive")]


def judged(entries, mutants=(KILLED,), needed="E4"):
    return scenario_cell("DP.3", "APP", "S", list(entries), list(mutants), needed)


class CellTest(unittest.TestCase):
    def test_good_and_hostile_cases_and_a_killed_mutant_are_met(self):
        cell = judged(GOOD)
        self.assertEqual((cell.verdict, cell.level, cell.reasons), ("MET", "E4", []))

    def test_without_a_negative_case_it_is_not_met(self):
        cell = judged([entry("S.1", polarity="positive"), entry("S.2", polarity="positive")])
        self.assertEqual(cell.verdict, "PARTIAL")
        self.assertIn("no negative assertion of S holds here", cell.reasons)

    def test_without_a_positive_case_it_is_not_met(self):
        self.assertEqual(judged([entry("S.1")]).verdict, "PARTIAL")

    def test_without_a_mutant_for_it_it_is_not_met(self):
        for mutants in ([], [dataclasses.replace(KILLED, fails=["S.9"])]):
            cell = judged(GOOD, mutants)
            self.assertEqual((cell.verdict, cell.level), ("PARTIAL", "E3"))

    def test_a_mutant_that_was_not_run_or_not_noticed_keeps_it_from_met(self):
        for state in ("not run", "missed"):
            cell = judged(GOOD, [KILLED, dataclasses.replace(KILLED, name="other", state=state)])
            self.assertEqual(cell.verdict, "PARTIAL", state)
            self.assertTrue(any("other is not killed" in reason for reason in cell.reasons), cell.reasons)

    def test_a_mutant_that_only_a_positive_case_notices_is_not_enough(self):
        self.assertEqual(judged([entry("S.1", polarity="positive"), entry("S.2")]).verdict, "PARTIAL")

    def test_documents_need_no_mutant(self):
        self.assertEqual(judged(GOOD, [], needed="E1").verdict, "MET")

    def test_what_is_shown_below_the_level_that_is_needed_keeps_it_from_met(self):
        for level, needed, verdict in (("E2", "E4", "PARTIAL"), ("E2", "E3", "PARTIAL"), ("E3", "E3", "MET"), ("E0", "E1", "PARTIAL"), ("E1", "E1", "MET")):
            cell = judged(at(level), needed=needed)
            self.assertEqual(cell.verdict, verdict, (level, needed))
            self.assertEqual(f"S.1 shows it at {level}, where {needed} is needed" in cell.reasons, verdict == "PARTIAL")

    def test_its_level_is_that_of_the_weakest_line(self):
        self.assertEqual([judged(at(level)).level for level in ("E1", "E2", "E3")], ["E1", "E2", "E4"])

    def test_one_failure_decides(self):
        self.assertEqual(judged([*GOOD, entry("S.3", "NOT_MET"), entry("S.4", "ERROR")]).verdict, "NOT_MET")

    def test_an_error_is_neither_passed_nor_failed(self):
        self.assertEqual(judged([*GOOD, entry("S.3", "ERROR")]).verdict, "ERROR")

    def test_what_was_not_run_or_cannot_be_tested_leaves_the_rest_partial_with_its_reason(self):
        for verdict in ("NOT_RUN", "NOT_TESTABLE_HERE", "PARTIAL"):
            cell = judged([*GOOD, entry("S.3", verdict)])
            self.assertEqual(cell.verdict, "PARTIAL")
            self.assertIn(f"S.3 is {verdict}: because", cell.reasons)

    def test_what_does_not_apply_does_not_count(self):
        self.assertEqual(judged([*GOOD, entry("S.3", "NOT_APPLICABLE")]).verdict, "MET")
        self.assertEqual(judged([entry("S.1", "NOT_APPLICABLE")]).verdict, "NOT_APPLICABLE")

    def test_nothing_that_ran_is_not_run(self):
        self.assertEqual(judged([]).verdict, "NOT_RUN")
        self.assertEqual(judged([entry("S.1", "NOT_RUN"), entry("S.2", "NOT_TESTABLE_HERE")]).verdict, "NOT_RUN")
        self.assertEqual(judged([entry("S.1", "NOT_TESTABLE_HERE")]).verdict, "NOT_TESTABLE_HERE")


class OverAllTest(unittest.TestCase):
    def setUp(self):
        self.reference = verdicts.Reference()
        self.reference.outcomes = {"DP.3": {"id": "DP.3", "components": ["APP"], "mutants": ["off"]}}

    def over(self, *cells, killed=("off",), absent=None):
        return over_all(self.reference, "DP.3", "APP", list(cells), set(killed), absent or {})

    def test_all_met_is_met(self):
        self.assertEqual(self.over(judged(GOOD), judged(GOOD)).verdict, "MET")

    def test_the_worst_scenario_decides(self):
        self.assertEqual(self.over(judged(GOOD), judged([entry("S.1", "NOT_MET")])).verdict, "NOT_MET")
        self.assertEqual(self.over(judged(GOOD), judged([entry("S.1", "ERROR")])).verdict, "ERROR")
        self.assertEqual(self.over(judged(GOOD), judged([entry("S.1", "NOT_RUN")])).verdict, "PARTIAL")

    def test_every_mutant_that_the_reference_asks_for_must_have_been_killed_somewhere(self):
        cell = self.over(judged(GOOD), killed=())
        self.assertEqual(cell.verdict, "PARTIAL")
        self.assertIn("no run here killed off", cell.reasons[-1])

    def test_a_scenario_that_asks_it_too_and_is_not_here_keeps_it_from_met(self):
        self.assertEqual(self.over(judged(GOOD), absent={"S9": ["S9.1"]}).verdict, "PARTIAL")

    def test_what_nobody_asks_is_not_run_and_says_why(self):
        cell = self.over()
        self.assertEqual((cell.verdict, cell.reasons), ("NOT_RUN", ["no scenario that exists asks it of APP"]))
        self.assertIn("S9.1", self.over(absent={"S9": ["S9.1"]}).reasons[0])


class GuardTest(unittest.TestCase):
    """The last look before anything is written does not trust what was judged."""

    def setUp(self):
        self.reference = verdicts.Reference()

    def guard(self, cell, **values):
        verdicts.check_met(self.reference, [dataclasses.replace(cell, verdict="MET", **values)])

    def test_a_good_cell_passes(self):
        self.guard(judged(GOOD))

    def test_a_met_without_a_negative_case_is_refused(self):
        with self.assertRaisesRegex(verdicts.BrokenRule, "without a negative case"):
            self.guard(judged([entry("S.1", polarity="positive")]))

    def test_a_met_without_a_positive_case_is_refused(self):
        with self.assertRaisesRegex(verdicts.BrokenRule, "without a positive case"):
            self.guard(judged([entry("S.1")]))

    def test_a_met_without_a_killed_mutant_is_refused(self):
        with self.assertRaisesRegex(verdicts.BrokenRule, "without a killed mutant"):
            self.guard(judged(GOOD, []))
        with self.assertRaisesRegex(verdicts.BrokenRule, "without a killed mutant"):
            self.guard(judged(GOOD), killers={})

    def test_a_met_below_the_level_of_its_kind_is_refused(self):
        for outcome, level, good in (("DP.3", "E2", False), ("IQR.1a", "E2", False), ("IQR.1a", "E3", True), ("DOC.1a", "E0", False), ("DOC.1a", "E1", True)):
            for killers in ({}, {"S.1": ["off"]}) if outcome != "DP.3" else ({"S.1": ["off"]},):
                cell = dataclasses.replace(judged(at(level), needed="E0"), outcome=outcome, killers=killers)
                if good:
                    self.guard(cell)
                    continue
                with self.assertRaisesRegex(verdicts.BrokenRule, f"{outcome} APP in S is MET at {level}, where E[1-4] is needed"):
                    self.guard(cell, level="E4")

    def test_a_met_over_a_failure_is_refused(self):
        with self.assertRaisesRegex(verdicts.BrokenRule, "not all of its assertions"):
            self.guard(judged([*GOOD, entry("S.3", "NOT_MET")]))


class RefusedTest(unittest.TestCase):
    """A judge that forgets what is lacking: the program writes nothing, and says which cell."""

    def refused(self, forgets, said, absent=()):
        """`absent`: the polarity of which no assertion applies."""
        away = {one["id"]: ("NOT_APPLICABLE", "", "rule: r; here: i; so it is") for one in scenario_of("S2").runnable() if one["polarity"] in absent}
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        real = make(folder / "real", verdicts=away)
        with mock.patch.object(verdicts, "what_lacks", forgets):
            code, told = making.report(real, "--html", folder / "made/report.html", "--oscal", folder / "made/oscal")
        self.assertEqual(code, 2)
        self.assertRegex(told, f"^refused: [A-Z]+.* in S2 is MET without {said}\n$")
        self.assertFalse((folder / "made").exists())

    def test_a_met_without_a_negative_case_ends_the_program(self):
        self.refused(lambda *_: [], "a negative case", absent=["negative"])

    def test_a_met_without_a_positive_case_ends_the_program(self):
        self.refused(lambda *_: [], "a positive case", absent=["positive"])

    def test_a_met_without_a_killed_mutant_ends_the_program(self):
        asks = verdicts.what_lacks
        self.refused(lambda cell, counted, mutants, _: asks(cell, counted, mutants, "E3"), "a killed mutant")


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_every_outcome_has_a_cell_for_every_component_that_it_is_asked_of(self):
        report = model.of([make(self.folder / "real")])
        wanted = {(name, component) for name, entry in report.reference.outcomes.items() for component in entry["components"]}
        self.assertEqual(set(report.cells), wanted)
        self.assertGreater(len(wanted), 100)
        self.assertTrue(all(cell.reasons for cell in report.cells.values() if cell.verdict != "MET"))

    def test_one_run_alone_gives_no_technical_outcome_met(self):
        report = model.of([make(self.folder / "real")])
        self.assertEqual({cell.verdict for cell in report.cells.values()}, {"PARTIAL", "NOT_RUN"})
        self.assertIn("No run on a mutant is in this report", report.troubles()[0])

    def test_with_its_mutants_a_run_comes_to_level_e4(self):
        report = model.of(make_all(self.folder))
        self.assertEqual({mutant.state for mutant in report.mutants}, {"killed"})
        self.assertEqual(report.by_scenario[("S2", "DP.3", "APP")].level, "E4")
        named = {name for mutant in report.mutants for name in mutant.fails}
        for key, cell in report.by_scenario.items():
            self.assertEqual(cell.level, "E4" if named & {entry["assertion"] for entry in cell.entries} else "E3", key)

    def test_a_mutant_on_which_more_fails_than_is_named_is_not_killed(self):
        broken = {"S2.4": ("NOT_MET", "other streams", "expected the same")}
        report = model.of([make(self.folder / "real"), make(self.folder / "mutant", mutant="no_sealing", verdicts=broken)])
        [mutant] = [one for one in report.mutants if one.name == "no_sealing"]
        self.assertEqual(mutant.state, "missed")
        self.assertTrue(any("no_sealing was not noticed" in text for text in report.troubles()))

    def test_a_mutant_on_which_something_ended_in_an_error_is_not_killed(self):
        report = model.of([make(self.folder / "real"), make(self.folder / "mutant", mutant="no_sealing", verdicts={"S2.4": ("ERROR", "", "no port")})])
        self.assertEqual(next(one for one in report.mutants if one.name == "no_sealing").state, "missed")

    def test_a_mutant_whose_run_was_cut_off_is_not_killed(self):
        report = model.of([make(self.folder / "real"), make(self.folder / "mutant", mutant="no_sealing", ended=False)])
        self.assertEqual(next(one for one in report.mutants if one.name == "no_sealing").state, "missed")


if __name__ == "__main__":
    unittest.main()
