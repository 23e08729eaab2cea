#!/usr/bin/env python3
"""Evidence is on the disk before the next assertion begins: whoever kills a run finds whole lines, and NOT_RUN for the rest."""

import datetime
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import evidence
import scenario

IDENTITY = {"build": "b" * 64, "commit": "c" * 40, "seed": 5, "mutant": ""}
HERE = pathlib.Path(__file__).resolve().parent
KILLED = """
import evidence, scenario, sys, time
one = scenario.load(scenario.find("S2"))
writer = evidence.Writer(sys.argv[1], one, {"build": "b", "commit": "c", "seed": 5, "mutant": ""})
writer.record(one.assertion("S2.B6"), "MET", "nothing in 1 MB")
print("recorded", flush=True)
sys.stdin.read()
"""


class WriterTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.scenario = scenario.load(scenario.find("S2"))

    def writer(self):
        return evidence.Writer(self.folder, self.scenario, IDENTITY, {"keystead-backend": "d" * 64})

    def test_everything_is_not_run_until_it_ran(self):
        self.writer()
        results = evidence.Results(self.folder / "evidence.jsonl")
        cells = [(one["id"], *cell) for one in self.scenario.assertions for cell in self.scenario.cells(one)]
        self.assertEqual(list(results.cells), cells)
        self.assertEqual({entry["verdict"] for entry in results.cells.values()}, {"NOT_RUN"})
        self.assertIsNone(results.ended)
        self.assertEqual(results.run["file_sha256"], evidence.sha256_of(scenario.find("S2")))
        began = datetime.datetime.fromisoformat(results.run["began"])
        self.assertEqual(began.utcoffset(), datetime.timedelta(0), "the time has no zone, or another one")

    def test_a_later_line_takes_the_place_of_an_earlier_one(self):
        writer = self.writer()
        one = self.scenario.assertion("S2.2a")
        writer.record(one, "NOT_MET", "one got through", "expected none", [writer.keep("S2.2a.json", [1])])
        writer.end(False)
        results = evidence.Results(self.folder / "evidence.jsonl")
        entry = results.cells[("S2.2a", "CSA.1", "APP")]
        self.assertEqual((entry["verdict"], entry["observed"], entry["polarity"]), ("NOT_MET", "one got through", "negative"))
        self.assertEqual(results.ended["as_expected"], False)
        [file] = entry["files"]
        self.assertEqual(evidence.sha256_of(self.folder / file["path"]), file["sha256"])

    def test_every_line_says_of_what_build_commit_and_seed_it_is(self):
        writer = self.writer()
        writer.record(self.scenario.assertion("S2.1"), "MET", "none")
        writer.end(True)
        for text in writer.path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(text)
            self.assertEqual({key: entry[key] for key in IDENTITY}, IDENTITY)
            if entry["line"] == "verdict":
                for key in ("outcome", "component", "scenario", "assertion", "polarity", "verdict", "expected", "observed", "reason", "files"):
                    self.assertIn(key, entry)

    def test_what_is_not_met_needs_a_reason_and_verdicts_are_the_seven(self):
        writer = self.writer()
        with self.assertRaises(ValueError):
            writer.record(self.scenario.assertion("S2.1"), "NOT_MET", "something", " ")
        with self.assertRaises(ValueError):
            writer.record(self.scenario.assertion("S2.1"), "PASSED", "something", "so")

    def test_evidence_of_another_run_is_not_overwritten(self):
        self.writer()
        with self.assertRaises(FileExistsError):
            self.writer()

    def test_a_run_that_is_killed_leaves_whole_lines_and_not_run_for_the_rest(self):
        with subprocess.Popen([sys.executable, "-B", "-c", KILLED, str(self.folder)], cwd=HERE, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as child:
            self.assertEqual(child.stdout.readline(), "recorded\n")
            child.send_signal(signal.SIGKILL)
        self.assertTrue((self.folder / "evidence.jsonl").read_bytes().endswith(b"}\n"))
        results = evidence.Results(self.folder / "evidence.jsonl")
        verdicts = {name: entry["verdict"] for name, entry in results.assertions().items()}
        self.assertEqual(verdicts.pop("S2.B6"), "MET")
        self.assertEqual(set(verdicts.values()), {"NOT_RUN"})
        self.assertIsNone(results.ended)


class BuildTest(unittest.TestCase):
    def test_another_program_is_another_build(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("one", "two"):
            (folder / name).write_text(name, encoding="ascii")
        build, digests = evidence.build_of(folder, ["two", "one", "one"])
        self.assertEqual(list(digests), ["one", "two"])
        (folder / "two").write_text("TWO", encoding="ascii")
        self.assertNotEqual(evidence.build_of(folder, ["one", "two"])[0], build)


if __name__ == "__main__":
    unittest.main()
