#!/usr/bin/env python3
"""docs/handbook.md and docs/threat-model.md: no link and no id that leads nowhere, and nothing that runs is left out."""

import pathlib
import re
import unittest

import scenario as scenarios

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ("docs/handbook.md", "docs/threat-model.md")
ASSERTION = re.compile(r"\b((?:S[1-7]b?|C[1-3])\.(?:[0-9]+[a-z]?|B6|end))( \(planned\))?")
OUTCOME = re.compile(r"\b((?:AI|PC|DP|IAC|SU|CSA|DOC|IQR|IDS|EA)\.[0-9][a-z]?)\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\s]+/[^`\s]*)`")


def anchors(path):
    """What a heading is called in a link, as Markdown's readers make it."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(document, text):
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.exists():
            yield f"{target} is not there"
        elif anchor and anchor not in anchors(path):
            yield f"{target}: {path.name} has no such heading"
    for name in CODE.findall(text):
        if not (ROOT / name).exists():
            yield f"`{name}` is not there"


def dead_ids(text, there, numbered, outcomes):
    """`there`: assertions of the scenarios' files; `numbered`: scenario → what the reference asserts of it."""
    written = {name.split(".")[0] for name in there}
    for name, planned in ASSERTION.findall(text):
        scenario = name.split(".")[0]
        if planned and scenario in written:
            yield f"{name} is called planned, and {scenario} has a file"
        elif planned and name not in numbered(scenario):
            yield f"{name} is called planned, and the reference has none"
        elif not planned and name not in there:
            yield f"{name} is none of the assertions there are"
    for name in OUTCOME.findall(text):
        if name not in outcomes:
            yield f"{name} is none of the reference's outcomes"


class LinksTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = [scenarios.load(path) for path in scenarios.all_files()]
        cls.there = {one["id"] for scenario in cls.files for one in scenario.assertions}
        cls.text = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}

    def test_every_link_and_every_path_leads_somewhere(self):
        for name, text in self.text.items():
            self.assertEqual(list(dead_links(ROOT / name, text)), [], name)
            self.assertGreater(len(LINK.findall(text)), 5, name)

    def test_every_assertion_and_outcome_that_is_named_exists_or_is_said_to_be_planned(self):
        for name, text in self.text.items():
            self.assertEqual(list(dead_ids(text, self.there, scenarios.reference_assertions, scenarios.outcomes())), [], name)

    def test_the_handbooks_page_names_every_assertion_that_runs_and_every_technical_outcome(self):
        text = self.text["docs/handbook.md"]
        named = {name for name, planned in ASSERTION.findall(text) if not planned}
        running = {one["id"] for scenario in self.files for one in scenario.runnable()}
        self.assertEqual(sorted(running - named), [])
        technical = {name for name in scenarios.outcomes() if not name.startswith(("DOC", "IQR", "IDS", "EA"))}
        self.assertEqual(sorted(technical - set(OUTCOME.findall(text))), [])

    def test_each_outcomes_row_names_exactly_the_assertions_that_run_for_it(self):
        rows = dict(re.findall(r"^\| ((?:AI|PC|DP|IAC|SU|CSA)\.[0-9][a-z]?) \|[^|]*\|([^|]*)\|", self.text["docs/handbook.md"], re.MULTILINE))
        for outcome, cell in rows.items():
            running = {one["id"] for scenario in self.files for one in scenario.runnable() if outcome in one["outcomes"]}
            said = {name for name, planned in ASSERTION.findall(cell) if not planned} if not cell.strip().startswith("none") else set()
            self.assertEqual(said, running, outcome)

    def test_what_leads_nowhere_is_found(self):
        document = ROOT / DOCUMENTS[0]
        for text, says in (("[x](nothing.md)", "not there"), ("[x](protocol.md#no-such-heading)", "no such heading"), ("`core/nothing.h`", "not there")):
            self.assertIn(says, "".join(dead_links(document, text)))
        there, numbered = {"S2.1"}, lambda scenario: [f"{scenario}.1"]
        for text, says in (("S2.9", "none of the assertions"), ("S2.1 (planned)", "has a file"), ("S7.9 (planned)", "the reference has none"),
                           ("AI.9", "none of the reference's outcomes")):
            self.assertIn(says, "".join(dead_ids(text, there, numbered, {"AI.1"})))
        self.assertEqual(list(dead_ids("S2.1 S7.1 (planned) AI.1", there, numbered, {"AI.1"})), [])


if __name__ == "__main__":
    unittest.main()
