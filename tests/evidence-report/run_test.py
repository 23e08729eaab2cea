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


def play(scenario, writer, *_, **__):
    """Everything that can run holds."""
    results = {}
    for assertion in scenario.assertions:
        if assertion in scenario.runnable():
            writer.record(assertion, "MET", "seen")
            results[assertion["id"]] = ("MET", "seen")
        else:
            results[assertion["id"]] = driver.not_running(assertion, writer)
    return results, None


class RunTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for process in scenario_of("S2").processes.values():
            (self.folder / process["program"]).write_bytes(b"a program")
        self.page = self.folder / "page.html"

    def run_it(self, *words):
        arguments = ["scenario", "run", "S2", "--control-bins", str(self.folder), "--out", str(self.folder / "out"), "--html", str(self.page), *words]
        said = io.StringIO()
        with mock.patch.object(sys, "argv", arguments), mock.patch.dict("os.environ", {"KEYSTEAD_BIN_DIR": str(self.folder)}), \
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

    def test_a_mutant_alone_has_no_page(self):
        with self.assertRaisesRegex(SystemExit, "a mutant alone has no page"):
            self.run_it("--mutant", "no_sealing")
        self.assertFalse(self.page.exists())


if __name__ == "__main__":
    unittest.main()
