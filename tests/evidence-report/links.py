#!/usr/bin/env python3
"""What a document names, and whether it exists: files, anchors, assertions, outcomes, scenarios, adversaries, unit tests. An id of a scenario that
is not written yet carries a †, and has to be in the reference. `links.py mark FILE…` sets and takes away the †, when a scenario was written."""

import functools
import pathlib
import re
import sys

import places
import scenario as scenarios
import verdicts

MARK = "†"
SCENARIO = r"(?:S3b|S[1-7]|C[1-3])"
ASSERTION = re.compile(rf"(?<![\w.-])({SCENARIO})\.([0-9]+[a-z]?|B6|end)(?!\w){MARK}?")
ALONE = re.compile(rf"(?<![\w.-])({SCENARIO})(?![\w.-]){MARK}?")
OUTCOME = re.compile(r"(?<![\w.-])(?:AI|PC|DP|IAC|SU|CSA|DOC|IQR|IDS|EA)\.[0-9]+[a-z]?(?!\w)")
LIMIT = re.compile(r"\bNM-[0-9]+\b")
LINK = re.compile(r"\]\(([^)\s]*)\)")
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)+)`")
NAMED_TEST = re.compile(r"`(\w+Test)\.(\w+)`")
ADVERSARY = re.compile(r"(?<![\w-])adv-[A-Za-z0-9-]+")


@functools.lru_cache
def all_scenarios():
    return {path.stem: scenarios.load(path) for path in scenarios.all_files()}


def written():
    """Scenario → ids of its assertions."""
    return {name: {one["id"] for one in scenario.assertions} for name, scenario in all_scenarios().items()}


@functools.lru_cache
def runnable():
    """Ids of all assertions that are asked of a running product."""
    return {one["id"] for scenario in all_scenarios().values() for one in scenario.runnable()}


@functools.lru_cache
def unit_tests():
    """(suite, name) of each."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((places.ROOT / "tests/unit").rglob("*_test.cc")))
    return set(re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", text, re.MULTILINE))


def counted():
    """Outcome → ids of all assertions that count for it, whether they run or not."""
    found = {}
    for scenario in all_scenarios().values():
        for one in scenario.assertions:
            for outcome in one["outcomes"]:
                found.setdefault(outcome, []).append(one["id"])
    return found


def ids(text):
    """Assertions of scenarios that are written, as often as they are named."""
    return [match.group(0) for match in ASSERTION.finditer(text) if not match.group(0).endswith(MARK)]


def cells(row):
    """Of a row of a table."""
    return row.strip("| ").split(" | ")


def anchors(path):
    """Of the headings, as they are made on the web; of headings only outside of blocks of code."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).strip().lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def problems(path, text=None):
    """What `path` names and does not exist, with lines."""
    text = path.read_text(encoding="utf-8") if text is None else text
    known, reference = written(), verdicts.Reference()
    limits = {limit["id"] for limit in reference.limits}
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        def wrong(said, number=number):
            found.append(f"{path.name}:{number}: {said}")
        for match in ASSERTION.finditer(line):
            check_assertion(match.group(0), match.group(1), known, wrong)
        for match in ALONE.finditer(ASSERTION.sub("", line)):
            check_mark(match.group(0), match.group(1), known, wrong)
        for name in OUTCOME.findall(line):
            if name not in reference.outcomes:
                wrong(f"{name} is no outcome of the reference")
        for name in LIMIT.findall(line):
            if name not in limits:
                wrong(f"{name} is no limit of the reference")
        for suite, name in NAMED_TEST.findall(line):
            if (suite, name) not in unit_tests():
                wrong(f"there is no test {suite}.{name}")
        for name in ADVERSARY.findall(line):
            if name not in adversaries():
                wrong(f"{name} is no adversary of a scenario")
        for target in LINK.findall(line):
            check_link(path, target, wrong)
        for name in PATH.findall(line):
            if not (places.ROOT / name).exists():
                wrong(f"there is no {name}")
    return found


def check_mark(word, scenario, known, wrong):
    if scenario in known and word.endswith(MARK):
        wrong(f"{scenario} is written now: links.py mark takes its {MARK} away")
    if scenario not in known and not word.endswith(MARK):
        wrong(f"{scenario} is not written yet: links.py mark puts a {MARK} behind it")


def check_assertion(word, scenario, known, wrong):
    name = word.removesuffix(MARK)
    check_mark(word, scenario, known, wrong)
    if name not in (known[scenario] if scenario in known else scenarios.reference_assertions(scenario)):
        near = sorted(one for one in known.get(scenario, ()) if re.fullmatch(re.escape(name) + "[a-z]", one))
        wrong(f"{name} is no assertion of {scenario}" + (f"; it has {', '.join(near)}" if near else ""))


def check_link(path, target, wrong):
    if re.match(r"[a-z]+:", target):
        return
    file, _, anchor = target.partition("#")
    there = path.parent / file if file else path
    if not there.exists():
        wrong(f"there is no {target}")
    elif anchor and (there.suffix != ".md" or anchor not in anchors(there)):
        wrong(f"{file or path.name} has no heading #{anchor}")


def marked(text):
    """The text with every † where it has to be; ids that a written scenario has split stand for all their parts."""
    known = written()

    def one(match):
        scenario, word = match.group(1), match.group(0).removesuffix(MARK)
        if scenario not in known:
            return word + MARK
        parts = sorted(name for name in known[scenario] if re.fullmatch(re.escape(word) + "[a-z]", name))
        return word if match.re is ALONE or word in known[scenario] or not parts else ", ".join(parts)
    return ALONE.sub(one, ASSERTION.sub(one, text))


def threats(text):
    """Id → its row, of the table of threats."""
    return {match.group(1): match.group(0) for match in re.finditer(r"^\| (T[0-9]+) \|.*$", text, re.MULTILINE)}


def idle_adversaries(text):
    """Who is in no threat; and who of a scenario's file is in none with an assertion that runs there."""
    acts = {}
    for row in threats(text).values():
        _, _, by, _, held = cells(row)
        for name in ADVERSARY.findall(by):
            acts.setdefault(name, set()).update(one.split(".")[0] for one in ids(held) if one in runnable())
    found = [f"{name} of {scenario.id}" for scenario in all_scenarios().values() for name in scenario.value["adversaries"] if scenario.id not in acts.get(name, ())]
    return sorted([*found, *(adversaries() - set(acts))])


@functools.lru_cache
def adversaries():
    """All that the reference and the scenarios' files name."""
    named = set(ADVERSARY.findall((scenarios.REFERENCE / "scenarios.md").read_text(encoding="utf-8")))
    return named - {"adv-"} | {name for scenario in all_scenarios().values() for name in scenario.value["adversaries"]}


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] != "mark":
        sys.exit("usage: links.py mark FILE…")
    for file in map(pathlib.Path, sys.argv[2:]):
        file.write_text(marked(file.read_text(encoding="utf-8")), encoding="utf-8")
