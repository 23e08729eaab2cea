#!/usr/bin/env python3
"""The page of one run on a broken build: it says first that it is one, judges assertions only, and is made of nothing else."""

import pathlib
import tempfile
import unittest

import collect
import making
import mutant_page
from made_page import HOSTILE
from making import make, scenario_of
from page_test import Read

MUTANT = "replay_window_off"


class MutantPageTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def page(self, **values):
        return mutant_page.page(collect.read_mutant(make(self.folder / "mutant", mutant=MUTANT, **values)))

    def test_it_says_first_that_the_build_was_broken_on_purpose_and_whether_that_was_noticed(self):
        source = self.page()
        first = source[:source.index("<main>")]
        self.assertIn(f"S2 on a build broken on purpose: {MUTANT}</h1>", first)
        self.assertIn(f"broken on purpose: {scenario_of('S2').mutants[MUTANT]['because']}", first)
        self.assertIn("No verdict on this page is one of the product", first)
        self.assertIn("It was noticed: exactly S2.2a failed on it.", first)

    def test_it_judges_no_outcome(self):
        read = Read(self.page())
        self.assertEqual(read.cells, [])
        self.assertEqual([name for name in read.ids if name.startswith(("outcome", "cell"))], [])

    def test_it_says_when_the_broken_build_was_not_noticed_as_it_had_to_be(self):
        for name, verdicts, said in (("nothing", {"S2.2a": ("MET", "refused", "")}, "nothing failed on it, where exactly S2.2a had to"),
                                     ("more", {"S2.4": ("NOT_MET", "others", "expected the same")}, "S2.2a, S2.4 failed on it, where exactly S2.2a had to"),
                                     ("error", {"S2.4": ("ERROR", "", "no port")}, "S2.4 ended in an error")):
            source = mutant_page.page(collect.read_mutant(make(self.folder / name, mutant=MUTANT, verdicts=verdicts)))
            self.assertIn("It was not noticed as it had to be: " + said, source)
            self.assertNotIn("It was noticed", source)

    def test_a_run_that_was_cut_off_says_so(self):
        self.assertIn("the run did not come to its end as expected", self.page(ended=False))

    def test_what_had_to_fail_is_told_apart_from_what_failed_besides(self):
        source = self.page(verdicts={"S2.4": ("NOT_MET", "others", "expected the same")})
        named, besides = (source[source.index(f'id="{name}"'):].split("</section>")[0] for name in ("S2.2a", "S2.4"))
        self.assertIn("it had to fail", named)
        self.assertIn("it had to hold", besides)
        self.assertIn(f"scripts/scenario run S2 --mutant {MUTANT} --keep", besides)

    def test_every_assertion_is_there_with_its_evidence(self):
        source = self.page()
        for assertion in scenario_of("S2").assertions:
            self.assertEqual(source.count(f'id="{assertion["id"]}"'), 1)
        self.assertIn("files/S2.4.json", source)

    def test_nothing_in_it_acts_and_every_link_leads_somewhere(self):
        read = Read(self.page(verdicts={"S2.4": ("NOT_MET", HOSTILE, HOSTILE)}))
        self.assertFalse({tag for tag, _ in read.tags} & {"script", "img", "iframe", "object", "embed", "link", "base", "form"})
        self.assertEqual([name for _, attributes in read.tags for name in attributes if name.startswith("on") or name == "style"], [])
        self.assertEqual(len(read.ids), len(set(read.ids)))
        self.assertGreater(len(read.links), 10)
        for name, value in read.links:
            for target in value.split() if name == "aria-labelledby" else [value.removeprefix("#")]:
                self.assertIn(target, read.ids, f"{name}={value!r}")


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "page.html"

    def alone(self, *words):
        return making.report(*words, "--html", self.file, "--mutant-alone")

    def test_it_is_written(self):
        self.assertEqual(self.alone(make(self.folder / "mutant", mutant=MUTANT)), (0, ""))
        self.assertIn(MUTANT, self.file.read_text(encoding="utf-8"))

    def test_a_run_of_the_real_build_is_refused(self):
        code, said = self.alone(make(self.folder / "real"))
        self.assertEqual(code, 2)
        self.assertIn("evidence.jsonl:1: it is of the real build", said)
        self.assertFalse(self.file.exists())

    def test_evidence_that_cannot_be_relied_on_is_refused_here_too(self):
        folder = make(self.folder / "mutant", mutant=MUTANT)
        (folder / "files/S2.4.json").write_text("[]", encoding="ascii")
        code, said = self.alone(folder)
        self.assertEqual(code, 2)
        self.assertIn("files/S2.4.json was altered", said)
        self.assertFalse(self.file.exists())

    def test_several_runs_or_oscal_have_no_such_page(self):
        folders = [make(self.folder / name, mutant=MUTANT) for name in ("one", "other")]
        for words in (folders, [folders[0], "--oscal", self.folder / "oscal"]):
            with self.assertRaises(SystemExit) as ended:
                self.alone(*words)
            self.assertEqual(ended.exception.code, 2)
        self.assertFalse(self.file.exists() or (self.folder / "oscal").exists())


if __name__ == "__main__":
    unittest.main()
