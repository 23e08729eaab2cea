#!/usr/bin/env python3
"""How a run is judged: what an assertion's end means, and when a run, or a run on a mutant, is as expected."""

import importlib
import pathlib
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

import driver
import evidence
import paths
import registry
import report
import scenario


class ConcludeTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.scenario = scenario.load(scenario.find("S2"))
        self.writer = evidence.Writer(self.folder, self.scenario, {"build": "b", "commit": "c", "seed": 1, "mutant": ""})

    def ending(self, function):
        one = self.scenario.assertion("S2.1")
        verdict = driver.conclude(one, function, self.writer)[0]
        entry = evidence.Results(self.writer.path).assertions()["S2.1"]
        self.assertEqual(entry["verdict"], verdict)
        self.assertTrue(entry["observed"] or entry["reason"])
        return verdict

    def test_what_is_shown_is_met(self):
        self.assertEqual(self.ending(lambda: "nothing found"), "MET")
        self.assertEqual(self.ending(lambda: ("nothing found", [self.writer.keep("a.json", {})])), "MET")

    def test_what_the_product_does_otherwise_is_not_met(self):
        self.assertEqual(self.ending(lambda: registry.expect(False, "something was found")), "NOT_MET")
        self.assertEqual(self.ending(lambda: driver.Run.within(lambda: False, 0, "it never came")), "NOT_MET")

    def test_an_assertion_that_breaks_says_nothing_about_the_product(self):
        for error in (KeyError("x"), OSError("disk"), driver.Failure("no answer"), AssertionError("mine")):
            def broken(error=error):
                raise error
            self.assertEqual(self.ending(broken), "ERROR")

    def test_what_this_machine_cannot_do_was_not_run(self):
        def cannot():
            raise registry.CannotRun("needs root")
        self.assertEqual(self.ending(cannot), "NOT_RUN")

    def test_what_does_not_run_says_why(self):
        for name, verdict in (("S2.7", "NOT_RUN"), ("S2.8b", "NOT_TESTABLE_HERE")):
            found, reason = driver.not_running(self.scenario.assertion(name), self.writer)
            self.assertEqual(found, verdict)
            self.assertTrue(reason)
        one = {**self.scenario.assertion("S2.7"), "not_applicable": {"rule": "a backend that processes", "inputs": "the backend is blind",
                                                                     "reason": "there is nothing to search"}}
        del one["not_run"]
        self.assertEqual(driver.not_running(one, self.writer), (
            "NOT_APPLICABLE", "rule: a backend that processes; here: the backend is blind; there is nothing to search"))

    def test_a_scenario_that_cannot_be_set_up_is_an_error_in_every_assertion_that_runs(self):
        with tempfile.TemporaryDirectory() as empty:
            results, _ = driver.play(self.scenario, self.writer, empty, empty)
        for one in self.scenario.runnable():
            self.assertEqual(results[one["id"]][0], "ERROR")
        self.assertEqual(results["S2.7"][0], "NOT_RUN")
        self.assertFalse(driver.as_expected(self.scenario, results, None)[0])
        self.assertFalse(driver.as_expected(self.scenario, results, "no_sealing")[0])


class IdentityTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.scenario = scenario.load(scenario.find("S2"))
        self.processes = {process["program"] for process in self.scenario.processes.values()}
        for build in ("dev", "mutants"):
            (self.folder / build).mkdir()
            for program in (*self.processes, *driver.STARTED, "keystead-make-corpus"):
                (self.folder / build / program).write_text(build + program, encoding="ascii")

    def identity(self):
        return driver.identity(self.scenario, self.folder / "dev", self.folder / "mutants", self.folder, "")

    def test_another_program_that_judges_is_another_build(self):
        before, digests, _ = self.identity()
        self.assertEqual(set(digests), {*self.processes, *driver.STARTED})
        for program in driver.STARTED:
            (self.folder / "dev" / program).write_text("another", encoding="ascii")
            after, now, _ = self.identity()
            self.assertNotEqual(after["build"], before["build"], program)
            self.assertNotEqual(now[program], digests[program])
            before, digests = after, now

    def test_another_control_is_noticed_too(self):
        first, digests, control = self.identity()
        (self.folder / "mutants/keystead-backend").write_text("another", encoding="ascii")
        second, same, other = self.identity()
        self.assertEqual((second, same), (first, digests))
        self.assertNotEqual(other, control)

    def test_what_nobody_starts_may_be_rebuilt(self):
        before = self.identity()
        (self.folder / "dev/keystead-make-corpus").write_text("another", encoding="ascii")
        self.assertEqual(self.identity(), before)

    def test_what_judges_need_not_be_built_where_no_assertion_wants_it(self):
        (self.folder / "dev/keystead-load").unlink()
        self.assertNotIn("keystead-load", self.identity()[1])

    def test_every_program_that_a_run_may_start_is_in_the_digest(self):
        for path in scenario.all_files():
            importlib.import_module(f"checks.{path.stem.lower()}")
        folders = [folder for folder in paths.ROOT.iterdir() if folder.is_dir() and folder.name not in ("build", ".git")]
        known = {name for folder in folders for path in folder.rglob("CMakeLists.txt")
                 for name in re.findall(r"keystead_program\((keystead-[a-z-]+)", path.read_text(encoding="utf-8"))}
        self.assertGreater(len(known), 10)
        named = set()
        for path in {pathlib.Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}:
            if path.is_relative_to(paths.ROOT) and not path.name.endswith("_test.py"):
                named |= known & set(re.findall(r'"(keystead-[a-z-]+)"', path.read_text(encoding="utf-8")))
        only_in_the_demonstration = {"keystead-storage-crash"}
        processes = {process["program"] for path in scenario.all_files() for process in scenario.load(path).processes.values()}
        self.assertEqual(named - only_in_the_demonstration - processes, set(driver.STARTED))


class ExpectedTest(unittest.TestCase):
    def setUp(self):
        self.scenario = scenario.load(scenario.find("S2"))
        self.good = {one["id"]: ("MET" if one in self.scenario.runnable() else "NOT_RUN", "") for one in self.scenario.assertions}
        self.named = self.scenario.mutants["replay_window_off"]["fails"]

    def passes(self, mutant=None, **verdicts):
        results = {**self.good, **{name.replace("_", "."): (verdict, "why") for name, verdict in verdicts.items()}}
        return driver.as_expected(self.scenario, {name: one for name, one in results.items() if one[0]}, mutant)[0]

    def test_a_run_passes_when_nothing_fails_and_nothing_is_missing(self):
        self.assertTrue(self.passes())
        self.assertTrue(self.passes(S2_8a="NOT_RUN"))
        self.assertFalse(self.passes(S2_1="NOT_MET"))
        self.assertFalse(self.passes(S2_1="ERROR"))
        self.assertFalse(self.passes(S2_1=""))

    def test_a_mutant_passes_when_exactly_what_is_named_fails(self):
        self.assertEqual(self.named, ["S2.2a"])
        self.assertFalse(self.passes("replay_window_off"))
        self.assertTrue(self.passes("replay_window_off", S2_2a="NOT_MET"))
        self.assertFalse(self.passes("replay_window_off", S2_2a="NOT_MET", S2_1="NOT_MET"))
        self.assertFalse(self.passes("replay_window_off", S2_2a="ERROR"))
        self.assertFalse(self.passes("replay_window_off", S2_2a="NOT_MET", S2_6="ERROR"))
        self.assertFalse(self.passes("replay_window_off", S2_2a="NOT_RUN"))

    def test_junit_counts_as_the_run_does(self):
        for mutant, verdicts, failures in ((None, {}, 0), (None, {"S2.1": "NOT_MET"}, 1), ("replay_window_off", {}, 1),
                                           ("replay_window_off", {"S2.2a": "NOT_MET"}, 0)):
            results = {**self.good, **{name: (verdict, "why\x1b[0m") for name, verdict in verdicts.items()}}
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "junit.xml")
                report.junit(self.scenario, results, 1.0, path, mutant, [])
                suite = xml.parse(path).getroot()
            self.assertEqual((int(suite.get("failures")), int(suite.get("skipped"))), (failures, 2))
            self.assertEqual(len(suite.findall("testcase")), len(self.scenario.assertions))

    def test_the_summary_names_everything_that_was_not_shown_and_who_answers(self):
        text = " ".join(report.summary(self.scenario, self.good).split())
        for wanted in (*self.scenario.value["not_shown"], "S2.7 (not run)", "S2.8b (not run)", *self.scenario.processes, "hub-vendor (third party)"):
            self.assertIn(" ".join(wanted.split()), text)


if __name__ == "__main__":
    unittest.main()
