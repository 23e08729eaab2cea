#!/usr/bin/env python3
"""expect_failures.py TEST_PROGRAM MUTANT NAMES.json: runs the tests with one protection switched off and compares the
tests that fail with the list that stands for the mutant. Exit code 0 when they are the same."""

import json
import os
import subprocess
import sys
import tempfile


def failed_tests(program, mutant):
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        subprocess.run([program, f"--gtest_output=json:{report}"], env={**os.environ, "KEYSTEAD_MUTANT": mutant},
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        with open(report, encoding="utf-8") as file:
            suites = json.load(file)["testsuites"]
    tests = [(suite["name"], test) for suite in suites for test in suite["testsuite"]]
    if not tests:
        sys.exit("no tests ran")
    return {f"{suite}.{test['name']}" for suite, test in tests if test.get("failures")}


def main():
    program, mutant, names = sys.argv[1:]
    with open(names, encoding="utf-8") as file:
        expected = set(json.load(file)[mutant])
    failed = failed_tests(program, mutant)
    for name in sorted(failed - expected):
        print(f"{mutant}: {name} fails and should not")
    for name in sorted(expected - failed):
        print(f"{mutant}: {name} does not notice")
    print(f"{mutant}: {len(failed)} tests failed, {len(expected)} expected")
    return 0 if failed == expected and expected else 1


if __name__ == "__main__":
    sys.exit(main())
