#!/usr/bin/env python3
"""Evidence that cannot be relied on is refused: exit 2, with file and line, and nothing is written."""

import pathlib
import tempfile
import unittest

from making import lines, make, make_all, report, rewrite


class RefusalTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.real, self.mutant = make(self.folder / "real"), make(self.folder / "mutant", mutant="no_sealing")
        self.page = self.folder / "report.html"

    def refused(self, text, *folders, where=None, line=None):
        code, said = report(*(folders or (self.real, self.mutant)), "--html", self.page)
        self.assertEqual(code, 2, said)
        self.assertIn(text, said)
        path = (where or self.real) / "evidence.jsonl"
        self.assertIn(f"refused: {path}:{line}:" if line else f"refused: {path}:", said)
        self.assertFalse(self.page.exists(), "a page was written all the same")

    def line_of(self, assertion, verdict):
        return next(at for at, entry in enumerate(lines(self.real), 1) if entry.get("assertion") == assertion and entry["verdict"] == verdict)

    def change(self, assertion, found, **values):
        """Alters the first line about an assertion with the verdict `found`; its number."""
        number = self.line_of(assertion, found)
        rewrite(self.real, lambda entries: entries[number - 1].update(values))
        return number

    def test_good_evidence_is_taken(self):
        code, said = report(self.real, self.mutant, "--html", self.page)
        self.assertEqual((code, said), (0, ""))
        self.assertTrue(self.page.exists())

    def test_missing_evidence_is_refused(self):
        (self.real / "evidence.jsonl").unlink()
        self.refused("the evidence is missing", line=1)

    def test_a_missing_file_that_a_line_names_is_refused(self):
        (self.real / "files/S2.1.json").unlink()
        self.refused("files/S2.1.json is missing", line=self.line_of("S2.1", "MET"))

    def test_an_altered_file_is_refused(self):
        (self.real / "files/S2.1.json").write_text("[]", encoding="ascii")
        self.refused("files/S2.1.json was altered", line=self.line_of("S2.1", "MET"))

    def test_a_file_outside_of_the_folder_is_refused(self):
        number = self.change("S2.1", "MET", files=[{"path": "files/../../secret", "sha256": "0" * 64}])
        self.refused("names no file beside the evidence", line=number)

    def test_a_blank_reason_is_refused(self):
        number = self.change("S2.7", "NOT_RUN", reason="  ")
        self.refused("its reason is blank", line=number)

    def test_a_met_without_an_observation_is_refused(self):
        number = self.change("S2.4", "MET", observed="")
        self.refused("what was observed is blank", line=number)

    def test_a_line_that_is_no_json_is_refused(self):
        path = self.real / "evidence.jsonl"
        path.write_text(path.read_text(encoding="utf-8").replace('{"line": "verdict"', '{"line" "verdict"', 1), encoding="utf-8")
        self.refused("not a line of JSON", line=2)

    def test_a_last_line_that_was_cut_off_is_refused(self):
        path = self.real / "evidence.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        self.refused("the last line was cut off", line=len(path.read_bytes().split(b"\n")))

    def test_a_line_with_a_key_missing_is_refused(self):
        rewrite(self.real, lambda entries: entries[3].update(polarity=None))
        self.refused("polarity is None", line=4)

    def test_lines_that_were_taken_out_are_noticed(self):
        rewrite(self.real, lambda entries: [entry for entry in entries if entry.get("assertion") != "S2.2a"])
        self.refused("no line about S2.2a for DP.3 APP: lines were taken out")

    def test_lines_that_were_moved_are_noticed(self):
        rewrite(self.real, lambda entries: entries[5].update(at=9999.0))
        self.refused("lines were moved", line=7)

    def test_a_line_after_the_end_is_refused(self):
        rewrite(self.real, lambda entries: entries.append(entries[5] | {"at": 9999.0}))
        self.refused("a line after the end")

    def test_two_builds_in_one_file_are_refused(self):
        rewrite(self.real, lambda entries: entries[4].update(build="d" * 64))
        self.refused("two runs are mixed: build", line=5)

    def test_another_commit_is_refused(self):
        other = make(self.folder / "other", "C1", commit="d" * 40)
        self.refused("two builds are mixed: this is of commit " + "d" * 40, self.real, other, where=other, line=1)

    def test_another_build_of_one_commit_is_refused(self):
        other = make(self.folder / "other", "C1", build="e")
        self.refused("two builds are mixed: keystead-", self.real, other, where=other, line=1)

    def test_a_program_that_judges_of_another_build_is_refused(self):
        other = make(self.folder / "other", "C1")
        for folder, digest in ((self.real, "1"), (other, "2")):
            rewrite(folder, lambda entries, digest=digest: entries[0]["programs"].update({"keystead-stolen-keys": digest * 64}))
        self.refused("two builds are mixed: keystead-stolen-keys is 2", self.real, other, where=other, line=1)

    def test_a_program_that_judges_may_be_the_same_on_a_mutant(self):
        for folder in (self.real, self.mutant):
            rewrite(folder, lambda entries: entries[0]["programs"].update({"keystead-stolen-keys": "1" * 64}))
        self.assertEqual(report(self.real, self.mutant, "--html", self.page), (0, ""))

    def test_a_process_of_the_scenario_whose_program_has_no_digest_is_refused(self):
        rewrite(self.real, lambda entries: entries[0].update(programs={}))
        self.refused("no SHA-256 of keystead-backend", line=1)

    def test_a_control_of_another_build_than_the_mutants_is_refused(self):
        other = make(self.folder / "other", "C1", control="e")
        self.refused("two builds are mixed: keystead-", self.real, self.mutant, other, where=other, line=1)

    def test_a_control_that_is_the_real_build_is_refused(self):
        other = make(self.folder / "other", control="a")
        self.refused("not the preset mutants", other, where=other, line=1)

    def test_a_run_without_its_control_is_refused(self):
        rewrite(self.real, lambda entries: entries[0].update(control={}))
        self.refused("no SHA-256 of keystead-", line=1)

    def test_a_mutant_of_another_commit_is_refused(self):
        other = make(self.folder / "other", mutant="replay_window_off", commit="d" * 40)
        self.refused("two builds are mixed", self.real, other, where=other, line=1)

    def test_a_mutant_that_is_the_real_build_is_refused(self):
        other = make(self.folder / "other", mutant="replay_window_off")
        rewrite(other, lambda entries: entries[0].update(programs=lines(self.real)[0]["programs"]))
        self.refused("not the preset mutants", self.real, other, where=other, line=1)

    def test_mutants_alone_are_refused(self):
        self.refused("at least one of the real build is needed", self.mutant, where=self.mutant)

    def test_a_folder_named_twice_is_refused(self):
        self.refused("named twice", self.real, self.real)

    def test_two_runs_that_disagree_are_refused(self):
        other = make(self.folder / "other", verdicts={"S2.4": ("NOT_MET", "the streams are others", "expected the same")})
        self.refused("S2.4 for AI.2 APP is NOT_MET here and MET in", self.real, other, where=other)

    def test_two_runs_that_agree_are_taken(self):
        code, said = report(self.real, make(self.folder / "other"), "--html", self.page)
        self.assertEqual((code, said), (0, ""))

    def test_within_a_run_the_later_line_counts(self):
        def again(entries):
            later = {**entries[-1], "at": entries[-1]["at"] + 1}
            worse = {**next(entry for entry in entries if entry.get("assertion") == "S2.4" and entry["verdict"] == "MET"), "verdict": "NOT_MET",
                     "reason": "expected otherwise", "at": later["at"]}
            return [*entries[:-1], worse, later]
        rewrite(self.real, again)
        self.assertEqual(report(self.real, "--html", self.page)[0], 0)
        self.assertIn('id="S2.4" data-verdict="NOT_MET"', self.page.read_text(encoding="utf-8"))

    def test_a_scenario_file_that_changed_since_is_refused(self):
        rewrite(self.real, lambda entries: entries[0].update(file_sha256="0" * 64))
        self.refused("S2.yaml was another when this ran", line=1)

    def test_a_verdict_for_a_cell_that_the_scenario_does_not_have_is_refused(self):
        number = self.change("S2.4", "MET", component="GW")
        self.refused("it says nothing of AI.2 GW", line=number)

    def test_a_met_of_what_does_not_run_is_refused(self):
        number = self.change("S2.7", "NOT_RUN", verdict="MET", observed="all well")
        self.refused("the scenario's file says that it does not run", line=number)

    def test_a_met_below_a_live_run_is_refused(self):
        self.refused("which is not enough for a technical outcome", line=self.change("S2.4", "MET", level="E2"))

    def test_a_run_that_claims_a_killed_mutant_itself_is_refused(self):
        self.refused("one run cannot", line=self.change("S2.4", "MET", level="E4"))

    def test_not_applicable_without_its_rule_is_refused(self):
        self.refused("without the rule", line=self.change("S2.7", "NOT_RUN", verdict="NOT_APPLICABLE", reason="does not matter"))

    def test_not_testable_without_what_it_would_need_is_refused(self):
        self.refused("without what it would need", line=self.change("S2.8b", "NOT_TESTABLE_HERE", reason="cannot be shown"))

    def test_a_time_without_zone_is_refused(self):
        rewrite(self.real, lambda entries: entries[0].update(began="2026-11-27T02:00:00"))
        self.refused("without a time zone", line=1)

    def test_a_run_that_was_cut_off_is_taken_and_said(self):
        cut = make(self.folder / "cut", ended=False)
        self.assertEqual(report(cut, "--html", self.page)[0], 0)
        self.assertIn("The run of S2 was cut off", self.page.read_text(encoding="utf-8"))


class WholeTest(unittest.TestCase):
    def test_both_scenarios_with_all_their_mutants_go_together(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        folders = [*make_all(folder, "S2"), *make_all(folder, "C1")]
        code, said = report(*folders, "--html", folder / "report.html", "--oscal", folder / "oscal")
        self.assertEqual((code, said), (0, ""))


if __name__ == "__main__":
    unittest.main()
