#!/usr/bin/env python3
"""The page as text: what comes first, that nothing in it acts, and that every link leads somewhere."""

import copy
import html.parser
import json
import pathlib
import tempfile
import unittest

import made_page
import model
import page
from making import make, scenario_of
from scenario_part import unshown


class Read(html.parser.HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.tags, self.ids, self.links, self.text, self.cells = [], [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            elif name in ("href", "src", "aria-labelledby"):
                self.links.append((name, value))
            elif name == "data-cell":
                self.cells.append(value)

    def handle_data(self, data):
        self.text.append(data)


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.source = made_page.write(cls.folder).read_text(encoding="utf-8")
        cls.read = Read(cls.source)

    def test_what_evidence_says_is_shown_and_does_nothing(self):
        names = {tag for tag, _ in self.read.tags}
        self.assertFalse(names & {"script", "img", "iframe", "object", "embed", "link", "base", "form"})
        acting = [(tag, name) for tag, attributes in self.read.tags for name in attributes if name.startswith("on") or name == "style"]
        self.assertEqual(acting, [])
        self.assertIn("<script>window.hurt = 1</script><img src=https://elsewhere.invalid/x", "".join(self.read.text))
        self.assertNotIn("\u202e", self.source)
        self.assertIn("\\u202eback\\u0007", self.source)

    def test_every_link_stays_in_the_page_and_leads_somewhere(self):
        self.assertGreater(len(self.read.links), 300)
        for name, value in self.read.links:
            for target in value.split() if name == "aria-labelledby" else [value.removeprefix("#")]:
                self.assertIn(target, self.read.ids, f"{name}={value!r}")
            self.assertTrue(name == "aria-labelledby" or value.startswith("#"), value)

    def test_no_id_comes_twice(self):
        self.assertEqual(len(self.read.ids), len(set(self.read.ids)))

    def test_what_could_not_be_shown_comes_first(self):
        order = [self.read.ids.index(name) for name in ("not-shown", "outcomes", "scenario-S2", "S2.1", "scenario-C1", "by-outcome", "evidence")]
        self.assertEqual(order, sorted(order))

    def test_each_assertion_says_what_was_expected_and_seen_and_how_to_mend(self):
        parts = self.source.split('<section class="assertion"')[1:]
        self.assertEqual(len(parts), sum(len(scenario_of(name).assertions) for name in ("S2", "C1")))
        for part in parts:
            self.assertIn("<dt>Expected</dt>", part)
            self.assertTrue("<dt>Observed</dt>" in part or "<dt>Why" in part)
            self.assertTrue("<dt>How to mend</dt>" in part or "<dt>If it ever fails</dt>" in part)

    def test_what_failed_stands_at_the_top(self):
        first = self.source[self.source.index('id="not-shown"'):self.source.index("By any simulator")]
        for name in ("C1.1a", "C1.1b"):
            self.assertIn(f'href="#{name}"', first)

    def test_a_broken_build_shows_that_an_assertion_can_fail(self):
        part = self.source[self.source.index('id="S2.2a"'):self.source.index('id="S2.2b"')]
        self.assertIn("S2.2a got through", part)
        self.assertIn("replay_window_off", part)

    def test_an_adversary_at_no_process_is_in_the_picture_and_in_its_words(self):
        figure = self.source[self.source.index('aria-label="Picture of S2"'):].split("</figure>")[0]
        self.assertIn("<title>adv-platform: local, with nothing but its place</title>", figure.split("<figcaption")[0])
        self.assertIn("adv-platform stands local, with nothing but its place", figure.split('id="picture-S2-words"')[1])

    def test_who_answers_for_what_is_there_for_every_process(self):
        for layer in ("Hardware", "Platform", "Software"):
            self.assertEqual(self.source.count(f'<th scope="col">{layer}</th>'), 2 * 2)
        self.assertIn("<code>hub-front</code>", self.source)

    def test_there_are_as_many_cells_as_in_the_results_for_machines(self):
        results = json.loads((self.folder / "oscal/assessment-results.json").read_text(encoding="utf-8"))["assessment-results"]["results"]
        self.assertEqual([found["title"] for found in results[0]["findings"]], self.read.cells)

    def test_what_nobody_can_solve_is_told_with_why(self):
        scenario = copy.copy(scenario_of("S2"))
        scenario.value = {**scenario.value, "unsolved": [{"is": "Availability", "because": "<who owns the machine>", "measured": "twice"}]}
        told = unshown(scenario)
        self.assertEqual(len(told), len(scenario.value["not_shown"]) + 1)
        self.assertEqual(told[-1], "<strong>Availability</strong>: &lt;who owns the machine&gt; (twice)")

    def test_one_run_says_that_alone_it_can_give_no_met(self):
        alone = page.page(model.of([make(self.folder / "alone")]))
        self.assertIn("No run on a mutant is in this report", alone)
        self.assertNotIn('<td data-cell="DP.3 APP"><a href="#cell-DP.3-APP"><span class="badge short" data-verdict="MET">', alone)

    def test_the_same_evidence_gives_the_same_page(self):
        one = make(self.folder / "same")
        self.assertEqual(page.page(model.of([one])), page.page(model.of([one])))


if __name__ == "__main__":
    unittest.main()
