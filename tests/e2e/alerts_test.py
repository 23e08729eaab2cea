#!/usr/bin/env python3
"""The alarms of docs/prometheus: valid, each with a test that it rings and one that it does not, each explained."""

import re
import subprocess
import unittest

import prometheus
from product import harness

FOLDER = prometheus.DOCS / "prometheus"
KINDS = re.compile(r'return "(\w+)";')


def promtool(*words):
    return subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=120, check=False, cwd=FOLDER)


class AlertsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.alerts = (FOLDER / "alerts.yml").read_text()
        cls.names = re.findall(r"- alert: (\w+)", cls.alerts)
        cls.operations = (prometheus.DOCS / "operations.md").read_text()

    def test_rules_and_configuration_are_valid(self):
        for words in (("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml")):
            result = promtool(*words)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_each_rings_when_it_should_and_only_then(self):
        result = promtool("test", "rules", "alerts_test.yml")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        tests = (FOLDER / "alerts_test.yml").read_text().split("\n  # ")[1:]
        self.assertEqual(sorted(test.split("\n")[0] for test in tests), sorted(self.names))
        for test in tests:
            self.assertIn("exp_alerts: []", test, "a moment at which it is silent")
            self.assertIn("exp_labels", test, "a moment at which it rings")
            self.assertGreaterEqual(test.count("- series:"), 2, "something beside it that must not ring it")

    def test_a_rule_that_is_broken_is_found(self):
        broken = self.alerts.replace("keystead_store_failing_stores > 0", "keystead_store_failing_stores > 1")
        self.assertNotEqual(broken, self.alerts)
        with harness.Stack("alerts") as stack:
            for name, text in (("alerts.yml", broken), ("alerts_test.yml", (FOLDER / "alerts_test.yml").read_text())):
                with open(stack.path(name), "w", encoding="utf-8") as file:
                    file.write(text)
            result = subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], capture_output=True, text=True, timeout=120,
                                    check=False, cwd=stack.folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("KeysteadDiskFails", result.stdout + result.stderr)

    def test_each_is_explained_with_what_to_do(self):
        explained = re.findall(r"^\| `(Keystead\w+)` \| [^|]{20,} \| [^|]{20,} \|$", self.operations, re.M)
        self.assertEqual(sorted(explained), sorted(self.names))

    def test_each_kind_of_security_event_is_explained_with_what_to_do(self):
        source = (harness.ROOT / "core/observe/security_event.cc").read_text()
        kinds = set(KINDS.findall(source))
        self.assertGreaterEqual(len(kinds), 20)
        explained = re.findall(r"^\| `([a-z_]+)` \| [^|]{20,} \| [^|]{20,} \|$", self.operations, re.M)
        self.assertEqual({kind for kind in explained if not kind.startswith("keystead_")}, kinds)

    def test_no_alarm_asks_for_a_metric_that_nobody_serves(self):
        known = set(re.findall(r"^\| `(keystead_\w+)` \|", self.operations, re.M))
        asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bkeystead_\w+", self.alerts)}
        self.assertLessEqual(asked, known)


if __name__ == "__main__":
    unittest.main()
