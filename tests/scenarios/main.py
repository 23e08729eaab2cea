#!/usr/bin/env python3
"""scripts/scenario calls this: lists the scenarios, or runs one and says what was shown, what was not, and who answers for what."""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import paths
import driver
import evidence
import harness
import report
import scenario as scenarios
from shapes import SchemaError


def load(name):
    path = scenarios.find(name)
    if not path.exists():
        known = ", ".join(file.stem for file in scenarios.all_files())
        sys.exit(f"error: there is no scenario {name}; there are {known}")
    try:
        scenario = scenarios.load(path)
        driver.check_registered(scenario)
    except (SchemaError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    return scenario


def list_all():
    for path in scenarios.all_files():
        scenario = load(path.stem)
        runnable = len(scenario.runnable())
        print(f"{scenario.id:4} {scenario.value['title']}: {runnable} of {len(scenario.assertions)} assertions run, over {len(scenario.processes)} "
              f"processes; mutants: {', '.join(scenario.mutants)}")


def run(arguments):
    scenario = load(arguments.scenario)
    if arguments.mutant and arguments.mutant not in scenario.mutants:
        sys.exit(f"error: {scenario.id} names no assertion for the mutant {arguments.mutant}; it does for {', '.join(scenario.mutants)}")
    bins = pathlib.Path(arguments.control_bins) if arguments.mutant else harness.bin_dir()
    for folder in {bins, pathlib.Path(arguments.control_bins)}:
        for program in {process["program"] for process in scenario.processes.values()}:
            if not (folder / program).exists():
                sys.exit(f"error: {folder}/{program} is missing: run scripts/scenario without --no-build")
    identity, *programs = driver.identity(scenario, bins, arguments.control_bins, paths.ROOT, arguments.mutant)
    out = pathlib.Path(arguments.out) if arguments.out else pathlib.Path(tempfile.mkdtemp(prefix=f"keystead-evidence-{scenario.id}-"))
    if (out / "evidence.jsonl").exists():
        sys.exit(f"error: {out} holds the evidence of another run: name an empty folder")
    writer = evidence.Writer(out, scenario, identity, *programs)
    print(f"{scenario.id}: {scenario.value['title']}")
    print(report.wrapped("   ", scenario.value["about"].strip(), 3), flush=True)
    if arguments.mutant:
        print(f"   broken on purpose: {arguments.mutant}; exactly {', '.join(scenario.mutants[arguments.mutant]['fails'])} must fail")
    started = time.monotonic()

    def say(text):
        print(f"   {time.monotonic() - started:5.1f} s  {text}", flush=True)
    results, kept = driver.play(scenario, writer, bins, arguments.control_bins, arguments.mutant, arguments.keep, say,
                                lambda *verdict: print(report.verdict_line(*verdict), flush=True), arguments.manipulations)
    seconds = time.monotonic() - started
    passed, wrong = driver.as_expected(scenario, results, arguments.mutant)
    if [*driver.identity(scenario, bins, arguments.control_bins, paths.ROOT, arguments.mutant)[1:]] != programs:
        passed, wrong = False, ["the programs were replaced while the scenario ran: run it again", *wrong]
    writer.end(passed)
    report.junit(scenario, results, seconds, out / "junit.xml", arguments.mutant, wrong)
    print(report.summary(scenario, results))
    print(f"\n{seconds:.0f} s; build {identity['build'][:12]}, commit {identity['commit'][:13]}; evidence: {out}")
    if kept:
        print(f"kept: {kept}")
    for text in wrong:
        print(report.wrapped("not as expected: ", text, 17))
    if passed:
        print(f"{scenario.id}: as expected" + (f": {arguments.mutant} was noticed by exactly {', '.join(scenario.mutants[arguments.mutant]['fails'])}"
                                               if arguments.mutant else ""))
    return 0 if passed and (not arguments.html or write_page(out, arguments.html, arguments.mutant)) else 1


def write_page(out, html, mutant):
    """Whether the page of a run could be made of its evidence."""
    command = [sys.executable, "-B", paths.ROOT / "tests/evidence-report/make_report.py", out, "--html", html, *(["--mutant-alone"] if mutant else [])]
    return subprocess.run(command, check=False).returncode == 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/scenario")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list")
    verb = verbs.add_parser("run")
    verb.add_argument("scenario")
    verb.add_argument("--mutant")
    verb.add_argument("--keep", action="store_true")
    verb.add_argument("--out")
    verb.add_argument("--manipulations", type=int, default=0)
    verb.add_argument("--html")
    verb.add_argument("--control-bins", default=os.environ.get("KEYSTEAD_CONTROL_BIN_DIR") or paths.ROOT / "build/mutants/bin")
    arguments = parser.parse_args()
    if arguments.verb == "list":
        return list_all()
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
