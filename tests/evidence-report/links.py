#!/usr/bin/env python3
"""What a document names, and whether it exists: files, anchors, assertions, outcomes, scenarios. An id of a scenario that is not
written yet carries a †, and has to be in the reference. `links.py mark FILE…` sets and takes away the †, when a scenario was written."""

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
ADVERSARY = re.compile(r"(?<![\w-])adv-[A-Za-z0-9-]+")


@functools.lru_cache
def all_scenarios():
    return {path.stem: scenarios.load(path) for path in scenarios.all_files()}


def written():
    """Scenario → ids of its assertions."""
    return {name: {one["id"] for one in scenario.assertions} for name, scenario in all_scenarios().items()}


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


def adversaries():
    """All that the reference and the scenarios' files name."""
    named = set(ADVERSARY.findall((scenarios.REFERENCE / "scenarios.md").read_text(encoding="utf-8")))
    return named - {"adv-"} | {name for scenario in all_scenarios().values() for name in scenario.value["adversaries"]}


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] != "mark":
        sys.exit("usage: links.py mark FILE…")
    for file in map(pathlib.Path, sys.argv[2:]):
        file.write_text(marked(file.read_text(encoding="utf-8")), encoding="utf-8")
