#!/usr/bin/env python3
"""keystead-load with a backend of its own: that its counts add up and agree with the backend's, that a neighbour is held
back and the others are not, that it leaves nothing behind. Never how fast anything was."""

import json
import os
import pathlib
import signal
import unittest

from harness import Stack, wait_until
from load import SHORT, LoadCase


class LoadTest(LoadCase):
    def test_counts_add_up_and_agree_with_the_backend(self):
        report = self.load("--self", "--quick", "--tenants", "4", "--devices", "3", "--instantiations", "2",
                           "--behaviour", "rate10", "--subscribers")
        connections = report["connections"]
        self.assertEqual(connections["devices"], 12)
        self.assertEqual(connections["open"], 12)
        self.assertTrue(connections["verified"], connections)
        self.assertEqual(connections["backend_connections"], 16, "12 devices and 4 subscribers")
        self.assertEqual(connections["backend_certificates"], 16)
        self.assertTrue(connections["equal"])

        episode, = report["episodes"]
        self.assertEqual(episode["behaviour"], "rate10")
        self.assertEqual(len(episode["victims"]), 3)
        for victim in episode["victims"]:
            self.assert_whole(victim["records"])
        self.assert_whole(episode["records"])
        self.assertEqual(episode["records"]["acknowledged"],
                         sum(victim["records"]["acknowledged"] for victim in episode["victims"]))
        self.assert_whole(episode["neighbours"]["records"])
        self.assertEqual(report["records"]["acknowledged"], report["records"]["backend_records_in"])

        phases = episode["phases"]
        self.assertEqual(sum(phase["count"] for phase in phases.values()), episode["records"]["offered"],
                         "every record is in the distribution of the phase it was meant for")
        for phase in phases.values():
            self.assertLessEqual(phase["p50_us"], phase["p90_us"])
            self.assertLessEqual(phase["p90_us"], phase["p99_us"])
            self.assertLessEqual(phase["p99_us"], phase["max_us"])
            self.assertEqual(phase["calls_ended"], {})
            shares = [share for _, share in phase["curve"]]
            self.assertEqual(shares, sorted(shares))
            self.assertEqual(shares[-1], 1)
        self.assertGreater(phases["alone"]["delivered"]["count"], 0)
        self.assertEqual({aim["name"] for aim in episode["aims"]}, {"p99", "goodput", "jain", "recovery"})
        self.assertEqual(len(episode["windows"]), 20, "five seconds of quarter seconds")

    def test_a_neighbour_is_held_back_and_the_others_are_not(self):
        arguments = ["--self", *SHORT, "--tenants", "3", "--devices", "2", "--behaviour", "rate100",
                     "--backend-option=--tenant-records-per-second=500"]
        hostile = self.load(*arguments)
        obedient = self.load(*arguments, "--neighbour-obeys")
        for report in (hostile, obedient):
            episode, = report["episodes"]
            self.assert_whole(episode["records"])
            records = episode["neighbours"]["records"]
            self.assert_sums(records)
            self.assertLess(records["acknowledged"], records["offered"])
            self.assertGreater(report["records"]["backend_refused"].get("records_per_second", 0), 0, report["records"])
        ended = [report["episodes"][0]["neighbours"]["calls_ended"].get("RESOURCE_EXHAUSTED", 0)
                 for report in (hostile, obedient)]
        self.assertGreater(ended[1], 0)
        self.assertGreater(ended[0], 2 * ended[1], "who obeys comes again when it was told to")

    def test_every_behaviour_does_what_it_says(self):
        names = ["none", "huge", "tiny", "slow-readers", "backlog", "handshake-storm", "subscription-churn", "commit-storm"]
        report = self.load("--self", "--warm-up-seconds", "0.25", "--alone-seconds", "0.25", "--neighbour-seconds", "0.5",
                           "--recovery-seconds", "0.25", "--tenants", "2", "--devices", "2", "--behaviour", ",".join(names))
        self.assertEqual([episode["behaviour"] for episode in report["episodes"]], names)
        done = {episode["behaviour"]: episode["neighbours"] for episode in report["episodes"]}
        self.assertEqual(done["none"]["records"]["offered"], 0)
        for name, neighbours in done.items():
            self.assert_sums(neighbours["records"])
            if name != "none":
                self.assertGreater(neighbours["records"]["acknowledged"], 0, name)
        ordinary = done["subscription-churn"]["records"]["offered"]
        self.assertGreater(done["tiny"]["records"]["offered"], 20 * ordinary)
        self.assertGreater(done["backlog"]["records"]["offered"], 20 * ordinary)
        # How many of them get in while others are served is what the tool measures; all that do are let in.
        self.assertEqual(set(done["slow-readers"]["answered"]), {"OK"})
        self.assertGreater(done["slow-readers"]["answered"]["OK"], 5)
        for name in ("handshake-storm", "subscription-churn", "commit-storm"):
            self.assertGreater(done[name]["answered"].get("OK", 0), 5, name)
        for episode in report["episodes"]:
            self.assert_sums(episode["records"])

    def test_where_generator_and_server_share_a_core_nothing_is_valid(self):
        core = min(os.sched_getaffinity(0))
        report = self.stack.path("one-core.json")
        result = self.stack.run("/usr/bin/taskset", "-c", core, self.stack.bins / "keystead-load", "--self", *SHORT, "--devices", "1",
                                "--json", report, patience=60, check=False)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("INVALID: server and generator share a core", result.stdout)
        self.assertFalse(json.loads(pathlib.Path(report).read_text())["valid"])

    def test_being_stopped_leaves_nothing(self):
        folder = self.stack.path("stopped")
        os.mkdir(folder)
        run = self.stack.start("load-stopped", "keystead-load", "--self", "--folder", folder, "--behaviour", "rate10",
                               "--alone-seconds", "600", ports=False)
        wait_until(lambda: "alone" in run.output.read_text(), "the phase alone")
        run.popen.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(patience=30), 1)
        self.assertEqual(os.listdir(folder), [])


class OptionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("load-options")
        cls.addClassCleanup(cls.stack.close)

    def test_help_names_every_behaviour(self):
        text = self.stack.run("keystead-load", "--help").stdout
        for word in ("--self", "--target", "slow-readers", "commit-storm", "--json"):
            self.assertIn(word, text)

    def test_what_does_not_fit_is_one_line_and_exit_code_2(self):
        for arguments, words in (([], "give --self, or --target"),
                                 (["--target", "127.0.0.1:1"], "--target needs --target-id"),
                                 (["--self", "--target", "127.0.0.1:1"], "excludes"),
                                 (["--self", "--behaviour", "rude"], "no behaviour is called rude"),
                                 (["--self", "--tenants", "0"], "--tenants"),
                                 (["--self", "--tenants", "1", "--behaviour", "rate10"], "at least one tenant must behave well"),
                                 (["--self", "--tenants", "2000", "--devices", "1000"], "more than 20000 connections"),
                                 (["--self", "--record-bytes", "10"], "--record-bytes"),
                                 (["--self", "--arrivals", "uniform"], "--arrivals"),
                                 (["--self", "--sweep-tenants", "3"], "cannot be spread evenly over 3"),
                                 (["--self", "--rate", "many"], "--rate")):
            with self.subTest(arguments=arguments):
                result = self.stack.run("keystead-load", *arguments, check=False)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
                self.assertIn(words, result.stderr)

    def test_a_backend_that_does_not_start_says_why(self):
        for program, words in (("/no/such/program", "no such program"), ("/bin/false", "ended before it served")):
            with self.subTest(program=program):
                result = self.stack.run("keystead-load", "--self", "--backend", program, check=False)
                self.assertEqual(result.returncode, 1)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
                self.assertIn(words, result.stderr)


if __name__ == "__main__":
    unittest.main()
