"""Folders of evidence, read and held against what they say of themselves. What cannot be relied on is refused as a whole, with file
and line: a report from evidence that was altered, mixed or left out would be worse than none."""

import datetime
import functools
import json
import pathlib
import re

import places  # noqa: F401
import evidence
import scenario as scenarios
from shapes import SchemaError

COMMON = {"line": str, "build": str, "commit": str, "seed": int, "mutant": str, "at": (int, float)}
SHAPES = {
    "run": {"scenario": str, "file": str, "file_sha256": str, "programs": dict, "control": dict, "title": str, "columns": list, "began": str},
    "verdict": {"scenario": str, "outcome": str, "component": str, "assertion": str, "polarity": str, "verdict": str, "level": str,
                "expected": str, "observed": str, "reason": str, "files": list},
    "end": {"scenario": str, "as_expected": bool},
}
LEVELS = ("E0", "E1", "E2", "E3", "E4", "E5")
LIVE = 3  # the place of E3 above: what is below it never says MET of a technical outcome


class Refused(Exception):
    def __init__(self, path, line, text):
        self.path, self.line = path, line
        super().__init__(f"{path}:{line}: {text}")


class Run:
    """One evidence.jsonl. `cells`: (assertion, outcome, component) → the line that counts, with its number as `number`.
    `ordinal`: which of the runs of this scenario on this build in one report, by when they began."""

    def __init__(self, folder, scenario, head):
        self.folder = pathlib.Path(folder)
        self.path = self.folder / "evidence.jsonl"
        self.scenario = scenario
        self.head = head
        self.mutant = head["mutant"]
        self.commit = head["commit"]
        self.programs = head["programs"]
        self.began = datetime.datetime.fromisoformat(head["began"])
        self.ordinal = 1
        self.cells = {}
        self.ended = None
        self.seconds = 0.0

    @property
    def name(self):
        return self.scenario.id + (f" on {self.mutant}" if self.mutant else "")

    def verdicts(self):
        """Assertion → its verdict, the worst of its cells where a run was cut off between them."""
        worst = {}
        for (assertion, _, _), entry in self.cells.items():
            known = worst.get(assertion, "MET")
            worst[assertion] = max(known, entry["verdict"], key=evidence.VERDICTS.index)
        return worst

    def entry(self, assertion):
        return next(entry for (name, _, _), entry in self.cells.items() if name == assertion)


def read(folder):
    """The Run of a folder; Refused with the first thing that is wrong."""
    path = pathlib.Path(folder) / "evidence.jsonl"
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise Refused(path, 1, f"the evidence is missing ({error.strerror}): name the folder that scripts/scenario run --out wrote") from None
    if lines[-1] != b"":
        raise Refused(path, len(lines), "the last line was cut off: run the scenario again")
    run, last = None, 0.0
    for number, data in enumerate(lines[:-1], 1):
        entry = parse(path, number, data)
        if (number == 1) != (entry["line"] == "run"):
            raise Refused(path, number, "evidence begins with its run, once" if entry["line"] == "run" else "evidence begins with what was run")
        if run is None:
            run = begin(folder, path, entry)
        elif run.ended is not None:
            raise Refused(path, number, "a line after the end: it was added later")
        same_run(run, path, number, entry)
        if entry["at"] < last:
            raise Refused(path, number, f"it is from {entry['at']} s, earlier than the line before it: lines were moved, so their order decides nothing")
        last = entry["at"]
        if entry["line"] == "verdict":
            take_verdict(run, number, entry)
        elif entry["line"] == "end":
            run.ended = entry
    if run is None:
        raise Refused(path, 1, "the evidence is empty")
    run.seconds = last
    check_complete(run, len(lines) - 1)
    return run


def parse(path, number, data):
    try:
        entry = json.loads(data)
    except ValueError as error:
        raise Refused(path, number, f"not a line of JSON: {error}") from None
    if not isinstance(entry, dict) or entry.get("line") not in SHAPES:
        raise Refused(path, number, f"a line is one of {', '.join(SHAPES)}")
    for key, kind in {**COMMON, **SHAPES[entry["line"]]}.items():
        value = entry.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refused(path, number, f"{key} is {value!r}: the line is not as a run writes it")
    return entry


@functools.lru_cache
def load_scenario(path, digest):
    """`digest` makes another file of the same name another scenario."""
    del digest
    return scenarios.load(path)


def begin(folder, path, entry):
    if not re.fullmatch(r"[A-Za-z0-9]+\.yaml", entry["file"]):
        raise Refused(path, 1, f"{entry['file']!r} is no scenario's file")
    known = scenarios.FILES / entry["file"]
    try:
        digest = evidence.sha256_of(known)
        scenario = load_scenario(known, digest)
    except (OSError, SchemaError) as error:
        raise Refused(path, 1, f"its scenario cannot be read: {error}") from None
    if digest != entry["file_sha256"]:
        raise Refused(path, 1, f"{entry['file']} was another when this ran than it is here: report from the same commit, or run it again")
    if scenario.id != entry["scenario"]:
        raise Refused(path, 1, f"it says {entry['scenario']}, its file {scenario.id}")
    wanted = {process["program"] for process in scenario.processes.values()}
    for key, what in (("programs", "the build under test"), ("control", "the control")):
        if missing := sorted(wanted - set(entry[key])):
            raise Refused(path, 1, f"no SHA-256 of {', '.join(missing)} in {what}, which {scenario.id} needs")
    if entry["mutant"] and entry["mutant"] not in scenario.mutants:
        raise Refused(path, 1, f"{scenario.id} names no assertion for the mutant {entry['mutant']}")
    try:
        if datetime.datetime.fromisoformat(entry["began"]).tzinfo is None:
            raise ValueError("without a time zone")
    except ValueError as error:
        raise Refused(path, 1, f"began is {entry['began']!r}: {error}") from None
    return Run(folder, scenario, entry)


def same_run(run, path, number, entry):
    for key in ("build", "commit", "seed", "mutant", "scenario"):
        if entry[key] != run.head[key]:
            raise Refused(path, number, f"two runs are mixed: {key} is {entry[key]!r} here and {run.head[key]!r} where it began")


def take_verdict(run, number, entry):
    def wrong(text):
        raise Refused(run.path, number, f"{entry['assertion']}: {text}")
    try:
        assertion = run.scenario.assertion(entry["assertion"])
    except StopIteration:
        wrong(f"{run.scenario.id} has no such assertion")
    if (entry["outcome"], entry["component"]) not in run.scenario.cells(assertion):
        wrong(f"it says nothing of {entry['outcome']} {entry['component']}")
    if entry["verdict"] not in evidence.VERDICTS:
        wrong(f"{entry['verdict']!r} is none of {', '.join(evidence.VERDICTS)}")
    if entry["polarity"] != assertion["polarity"]:
        wrong(f"it is {assertion['polarity']}, not {entry['polarity']}")
    if entry["level"] not in LEVELS:
        wrong(f"{entry['level']!r} is none of {', '.join(LEVELS)}")
    check_words(entry, assertion, wrong)
    for file in entry["files"]:
        check_file(run, entry, file, wrong)
    run.cells[(entry["assertion"], entry["outcome"], entry["component"])] = {**entry, "number": number}


def check_words(entry, assertion, wrong):
    verdict, reason = entry["verdict"], entry["reason"]
    if verdict != "MET" and not reason.strip():
        wrong(f"it is {verdict} and its reason is blank")
    if verdict == "MET" and not entry["observed"].strip():
        wrong("it is MET and what was observed is blank")
    if verdict == "MET" and "expected" not in assertion:
        wrong("it is MET, but the scenario's file says that it does not run")
    if verdict == "MET" and LEVELS.index(entry["level"]) < LIVE:
        wrong(f"it is MET at {entry['level']}, which is not enough for a technical outcome")
    if LEVELS.index(entry["level"]) > LIVE:
        wrong(f"it says {entry['level']}: one run cannot, a killed mutant stands in another one")
    if verdict == "NOT_APPLICABLE" and not re.search(r"rule: .+; here: .+; .+", reason, re.DOTALL):
        wrong("it is NOT_APPLICABLE without the rule, its inputs and the reason")
    if verdict == "NOT_TESTABLE_HERE" and "it would need " not in reason:
        wrong("it is NOT_TESTABLE_HERE without what it would need")


def check_file(run, entry, file, wrong):
    if not isinstance(file, dict) or not isinstance(file.get("path"), str) or not re.fullmatch(r"files/[A-Za-z0-9][A-Za-z0-9._-]*", file["path"]):
        wrong(f"{file!r} names no file beside the evidence")
    path = run.folder / file["path"]
    if path.is_symlink() or not path.is_file():
        wrong(f"{file['path']} is missing")
    found = evidence.sha256_of(path)
    if found != file.get("sha256"):
        wrong(f"{file['path']} was altered: its SHA-256 is {found}, the evidence says {file.get('sha256')}")


def check_complete(run, number):
    """Nothing may be left out: every cell of the scenario's file has a line, were it only NOT_RUN."""
    for assertion in run.scenario.assertions:
        for outcome, component in run.scenario.cells(assertion):
            if (assertion["id"], outcome, component) not in run.cells:
                raise Refused(run.path, number, f"no line about {assertion['id']} for {outcome} {component}: lines were taken out")


def read_mutant(folder):
    """The Run of a folder, which has to be one on a mutant."""
    run = read(folder)
    if not run.mutant:
        raise Refused(run.path, 1, "it is of the real build, not of a mutant")
    return run


def read_all(folders):
    """All runs of a report; Refused also for what does not go together."""
    seen, runs = set(), []
    for folder in folders:
        key = pathlib.Path(folder).resolve()
        if key in seen:
            raise Refused(pathlib.Path(folder) / "evidence.jsonl", 1, "the folder is named twice")
        seen.add(key)
        runs.append(read(folder))
    if not any(not run.mutant for run in runs):
        raise Refused(runs[0].path if runs else "the command line", 1, "all runs are of mutants: at least one of the real build is needed")
    one_build(runs)
    one_verdict(runs)
    number(runs)
    return runs


def number(runs):
    """A copy of a run is not another one; of two that began in one second either may be the first, but always the same."""
    kinds = {}
    for run in runs:
        kinds.setdefault((run.scenario.id, run.mutant), {}).setdefault(evidence.sha256_of(run.path), []).append(run)
    for kind in kinds.values():
        for ordinal, (_, copies) in enumerate(sorted(kind.items(), key=lambda one: (one[1][0].began, one[0])), 1):
            for run in copies:
                run.ordinal = ordinal


def one_build(runs):
    """Real programs are the same in all runs, those of mutants too, as is the control; and a process of one is none of the other."""
    first = next(run for run in runs if not run.mutant)
    processes = {process["program"] for run in runs for process in run.scenario.processes.values()}
    real = {(program, digest) for run in runs if not run.mutant for program, digest in run.programs.items() if program in processes}
    known = {}
    for run in runs:
        if run.commit != first.commit:
            raise Refused(run.path, 1, f"two builds are mixed: this is of commit {run.commit}, {first.path} of {first.commit}")
        for broken, programs in ((bool(run.mutant), run.programs), (True, run.head["control"])):
            for program, digest in programs.items():
                if broken and (program, digest) in real:
                    said = f"said to be of the mutant {run.mutant}" if run.mutant else "the control"
                    raise Refused(run.path, 1, f"what is {said} has the {program} of the real build: not the preset mutants")
                before = known.setdefault((broken, program), (digest, run))
                if before[0] != digest:
                    raise Refused(run.path, 1, f"two builds are mixed: {program} is {digest[:12]}… here and {before[0][:12]}… in {before[1].path}")


def one_verdict(runs):
    """Of two runs of the same nobody knows which came later in what it shows: they have to agree."""
    known = {}
    for run in runs:
        for cell, entry in run.cells.items():
            other, before = known.setdefault((run.scenario.id, run.mutant, *cell), (run, entry))
            if before["verdict"] != entry["verdict"]:
                raise Refused(run.path, entry["number"], f"{cell[0]} for {cell[1]} {cell[2]} is {entry['verdict']} here and {before['verdict']} in "
                                                         f"{other.path}:{before['number']}; name one of the two runs")
