"""Evidence for tests, written by the same code as a run's, without processes."""

import contextlib
import io
import json
import pathlib

import places  # noqa: F401
import collect
import driver
import evidence
import make_report
import scenario as scenarios

COMMIT = "c" * 40
REAL, BROKEN = "a", "b"  # what the programs of the two builds digest to, as it were


def scenario_of(name):
    path = scenarios.find(name)
    return collect.load_scenario(path, evidence.sha256_of(path))


def make(folder, name="S2", mutant="", verdicts=None, commit=COMMIT, build=REAL, control=BROKEN, observed="seen", ended=True):
    """`verdicts`: assertion → (verdict, observed, reason) where it is not as the scenario's file wants it. A mutant's programs are the control's."""
    scenario = scenario_of(name)
    programs, without = ({process["program"]: digest * 64 for process in scenario.processes.values()} for digest in (control if mutant else build, control))
    writer = evidence.Writer(folder, scenario, {"build": (control if mutant else build) * 64, "commit": commit, "seed": 5, "mutant": mutant}, programs, without)
    fails = scenario.mutants[mutant]["fails"] if mutant else []
    for assertion in scenario.assertions:
        if assertion["id"] in (verdicts or {}):
            verdict, saw, reason = verdicts[assertion["id"]]
            writer.record(assertion, verdict, saw, reason)
        elif assertion not in scenario.runnable():
            driver.not_running(assertion, writer)
        elif assertion["id"] in fails:
            writer.record(assertion, "NOT_MET", f"{assertion['id']} got through", "expected otherwise")
        else:
            writer.record(assertion, "MET", observed, "", [writer.keep(f"{assertion['id']}.json", [assertion["id"]])])
    if ended:
        writer.end(True)
    return pathlib.Path(folder)


def make_all(folder, name="S2"):
    """The real build and every mutant of a scenario."""
    scenario = scenario_of(name)
    folder = pathlib.Path(folder)
    return [make(folder / f"{name}{mutant and '-' + mutant}", name, mutant) for mutant in ("", *scenario.mutants)]


def lines(folder):
    return [json.loads(line) for line in (folder / "evidence.jsonl").read_text(encoding="utf-8").splitlines()]


def rewrite(folder, change):
    """`change`: a function of the list of lines, which it may alter."""
    entries = lines(folder)
    changed = change(entries)
    text = "".join(json.dumps(entry) + "\n" for entry in (entries if changed is None else changed))
    (folder / "evidence.jsonl").write_text(text, encoding="utf-8")


def report(*words):
    """(exit code, what was said on stderr) of scripts/scenario report."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = make_report.main([str(word) for word in words])
    return code, said.getvalue()
