#!/usr/bin/env python3
"""scripts/scenario run NAME --html FILE leaves the page of that run; the scenario itself is played elsewhere."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import places  # noqa: F401
import driver
import main
from making import scenario_of


def play(scenario, writer, _bins, _control, mutant, *_):
    """Everything that can run holds, but on a mutant what is named for it."""
    results = {}
    for assertion in scenario.assertions:
        if mutant and assertion["id"] in scenario.mutants[mutant]["fails"]:
            writer.record(assertion, "NOT_MET", "it got through", "expected otherwise")
            results[assertion["id"]] = ("NOT_MET", "it got through")
        elif assertion in scenario.runnable():
            writer.record(assertion, "MET", "seen")
            results[assertion["id"]] = ("MET", "seen")
        else:
            results[assertion["id"]] = driver.not_running(assertion, writer)
    return results, None


class RunTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for build in ("dev", "mutants"):
            (self.folder / build).mkdir()
            for process in scenario_of("S2").processes.values():
                (self.folder / build / process["program"]).write_text(f"a program of {build}", encoding="ascii")
        self.page = self.folder / "page.html"

    def run_it(self, *words):
        arguments = ["scenario", "run", "S2", "--control-bins", str(self.folder / "mutants"), "--out", str(self.folder / "out"),
                     "--html", str(self.page), *words]
        said = io.StringIO()
        with mock.patch.object(sys, "argv", arguments), mock.patch.dict("os.environ", {"KEYSTEAD_BIN_DIR": str(self.folder / "dev")}), \
                mock.patch.object(driver, "play", play), contextlib.redirect_stdout(said):
            return main.main()

    def test_the_page_of_one_run_is_written_and_says_what_it_cannot_give(self):
        self.assertEqual(self.run_it(), 0)
        text = self.page.read_text(encoding="utf-8")
        self.assertIn("No run on a mutant is in this report", text)
        self.assertIn('id="S2.2a" data-verdict="MET"', text)

    def test_a_page_that_cannot_be_made_fails_the_run(self):
        self.page.mkdir()
        self.assertEqual(self.run_it(), 1)

    def test_the_page_of_a_run_on_a_mutant_says_so_and_judges_no_outcome(self):
        self.assertEqual(self.run_it("--mutant", "no_sealing"), 0)
        text = self.page.read_text(encoding="utf-8")
        self.assertIn("S2 on a build broken on purpose: no_sealing</h1>", text)
        self.assertIn("No verdict on this page is one of the product", text)
        self.assertNotIn("data-cell", text)


if __name__ == "__main__":
    unittest.main()
