#!/usr/bin/env python3
"""What is written for machines follows the rules of OSCAL, and each rule notices when it is broken."""

import copy
import json
import pathlib
import shutil
import tempfile
import unittest

import made_page
import model
import oscal
import oscal_rules
from evidence import sha256_of
from making import make, make_all, rewrite, scenario_of

UNKNOWN = "00000000-0000-5000-8000-000000000000"
BREAKS = {  # name → (document, change, what is said)
    "a required key is missing": ("assessment-results", lambda one: one.pop("import-ap"), "import-ap is missing"),
    "an identifier is no UUID": ("catalog", lambda one: one.update(uuid="12"), "catalog.uuid is '12'"),
    "a UUID of version 3": ("catalog", lambda one: one.update(uuid="a3bb189e-8bf9-3888-9912-ace4e6543002"), "catalog.uuid is"),
    "a time has no zone": ("catalog", lambda one: one["metadata"].update({"last-modified": "2026-11-27T02:00:00"}), "last-modified is"),
    "a state of our own": ("assessment-results", lambda one: status(one).update(state="partial"), "state is 'partial'"),
    "a reason that is no token": ("assessment-results", lambda one: status(one).update(reason="not met"), "reason is 'not met'"),
    "an empty list": ("assessment-results", lambda one: one["results"][0].update(findings=[]), "findings is no list, or an empty one"),
    "a text with a line end": ("catalog", lambda one: one["groups"][0].update(title="a\nb"), "title is"),
    "a name with a space": ("catalog", lambda one: one["metadata"]["props"][0].update(name="a b"), "name is 'a b'"),
    "a namespace that is no URI": ("catalog", lambda one: one["metadata"]["props"][0].update(ns="keystead"), "ns is 'keystead'"),
    "a key of our own": ("catalog", lambda one: one.update(verdict="MET"), "catalog.verdict is nothing that the model has"),
    "an observation that is not there": ("assessment-results", lambda one: finding(one)["related-observations"][0].update({"observation-uuid": UNKNOWN}),
                                         f"observation-uuid {UNKNOWN} leads nowhere"),
    "a statement that is not there": ("assessment-results", lambda one: finding(one)["target"].update({"target-id": "DP.9_smt"}), "DP.9_smt is no statement"),
    "a control that is not there": ("component-definition", lambda one: one["components"][0]["control-implementations"][0]["implemented-requirements"][0]
                                    .update({"control-id": "DP.9"}), "DP.9 is no control"),
    "a resource that is not there": ("assessment-plan", lambda one: one["import-ssp"].update(href="#" + UNKNOWN), "is no resource of its back matter"),
    "a party that is not there": ("catalog", lambda one: one["metadata"]["responsible-parties"][0].update({"party-uuids": [UNKNOWN]}),
                                  f"catalog: party-uuids {UNKNOWN} names no party of its metadata"),
    "a party that only another document has": ("assessment-plan", lambda one: one["metadata"].pop("parties"), "names no party of its metadata"),
    "a role that is not there": ("assessment-results", lambda one: one["metadata"]["responsible-parties"][0].update({"role-id": "auditor"}),
                                 "assessment-results: role-id auditor names no role of its metadata"),
    "a digest that is none": ("assessment-results", lambda one: one["back-matter"]["resources"][0]["rlinks"][0]["hashes"][0].update(value="ab"), "value is 'ab'"),
    "two selections in one": ("assessment-plan", lambda one: one["reviewed-controls"]["control-selections"][0].update({"include-controls": [{"control-id": "DP.1"}]}),
                              "a selection has"),
    "two findings of one id": ("assessment-results", lambda one: one["results"][0]["findings"][1].update(uuid=one["results"][0]["findings"][0]["uuid"]),
                               "two things have the id"),
}


def finding(results):
    return next(one for one in results["results"][0]["findings"] if one.get("related-observations"))


def status(results):
    return finding(results)["target"]["status"]


def begin(folder, when):
    rewrite(folder, lambda entries: entries[0].update(began=when))


def ids(document):
    """Every identifier of a document, and every one that it refers to, in order."""
    return oscal_rules.UUID.findall(json.dumps(document))


class OscalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        made_page.write(cls.folder)
        cls.documents = {name: json.loads((cls.folder / "oscal" / file).read_text(encoding="utf-8"))[name] for name, file in oscal.FILES.items()}
        cls.results = cls.documents["assessment-results"]["results"]

    def test_what_we_write_keeps_the_rules(self):
        self.assertEqual(oscal_rules.problems(self.documents), [])

    def test_each_rule_notices_when_it_is_broken(self):
        for name, (document, change, said) in BREAKS.items():
            with self.subTest(name):
                broken = copy.deepcopy(self.documents)
                change(broken[document])
                self.assertTrue(any(said in text for text in oscal_rules.problems(broken)), oscal_rules.problems(broken)[:3])

    def test_only_met_is_satisfied_and_our_verdict_is_the_reason(self):
        seen = set()
        for result in self.results:
            for one in result["findings"]:
                state = one["target"]["status"]
                [verdict] = [prop["value"] for prop in one["props"] if prop["name"] == "verdict"]
                self.assertEqual(state["reason"], verdict)
                self.assertEqual(state["state"] == "satisfied", verdict == "MET")
                seen.add(verdict)
        self.assertLessEqual({"NOT_RUN", "PARTIAL", "NOT_MET", "ERROR"}, seen)

    def test_what_is_not_met_refers_to_a_risk(self):
        for result in self.results:
            risks = {one["uuid"] for one in result.get("risks", [])}
            wanted = {one["related-risks"][0]["risk-uuid"] for one in result["findings"] if one["target"]["status"]["reason"] == "NOT_MET"}
            self.assertEqual(risks, wanted)
        self.assertTrue(self.results[0]["risks"])

    def test_every_outcome_is_a_control_and_every_cell_a_finding(self):
        reference = model.verdicts.Reference()
        controls = [control["id"] for group in self.documents["catalog"]["groups"] for control in group["controls"]]
        self.assertEqual(controls, list(reference.outcomes))
        cells = sum(len(entry["components"]) for entry in reference.outcomes.values())
        self.assertEqual(len(self.results[0]["findings"]), cells)

    def test_the_files_of_evidence_stand_with_their_digests(self):
        resources = {one["rlinks"][0]["href"]: one["rlinks"][0]["hashes"][0]["value"] for one in self.documents["assessment-results"]["back-matter"]["resources"]}
        self.assertEqual(resources["C1/evidence.jsonl"], sha256_of(self.folder / "evidence/C1/evidence.jsonl"))
        self.assertEqual(resources["S2/files/S2.1.json"], sha256_of(self.folder / "evidence/S2/files/S2.1.json"))
        self.assertEqual(len([href for href in resources if href.endswith("evidence.jsonl")]), len(scenario_of("S2").mutants) + 2)

    def test_the_same_evidence_gives_the_same_bytes_in_another_place_too(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        folders = make_all(folder / "one")
        first = oscal.as_files(oscal.documents(model.of(folders)))
        (folder / "one").rename(folder / "two")
        moved = [folder / "two" / one.name for one in folders]
        self.assertEqual(first, oscal.as_files(oscal.documents(model.of(moved))))

    def test_a_scenario_that_is_run_again_on_another_build_has_the_same_ids(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        first = [make(folder / "real"), make(folder / "mutant", mutant="no_sealing")]
        second = [make(folder / "again/real", commit="d" * 40, build="e", control="f", observed="seen later"),
                  make(folder / "again/mutant", mutant="no_sealing", commit="d" * 40, control="f")]
        for later in second:
            begin(later, "2026-12-24T18:00:00+00:00")
        one, other = (oscal.documents(model.of(folders)) for folders in (first, second))
        self.assertNotEqual(one["assessment-results"], other["assessment-results"])
        for name, document in one.items():
            self.assertEqual(ids(document), ids(other[name]), name)

    def test_two_runs_of_a_kind_are_numbered_by_when_they_began_and_a_copy_is_no_other_run(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        later, earlier = make(folder / "later", observed="later"), make(folder / "earlier", observed="earlier")
        begin(earlier, "2026-11-27T02:00:00+01:00")
        begin(later, "2026-11-27T01:30:00+00:00")
        shutil.copytree(later, folder / "copy")
        made = oscal.documents(model.of([later, earlier, folder / "copy"]))
        self.assertEqual(oscal_rules.problems(made), [])
        said = {one["uuid"]: one["description"] for one in made["assessment-results"]["results"][0]["observations"] if one["title"].startswith("S2.4:")}
        self.assertEqual(list(said.values()), ["later", "earlier"])
        [alone] = [one["uuid"] for one in oscal.documents(model.of([earlier]))["assessment-results"]["results"][0]["observations"]
                   if one["title"].startswith("S2.4:")]
        self.assertEqual(said[alone], "earlier")

    def test_two_runs_that_began_in_one_second_are_two(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        folders = [make(folder / name, observed=name) for name in ("one", "other")]
        for one in folders:
            begin(one, "2026-11-27T02:00:00+00:00")
        made = oscal.documents(model.of(folders))
        self.assertEqual(oscal_rules.problems(made), [])
        self.assertEqual(len(made["assessment-results"]["results"][0]["observations"]), 2 * len(scenario_of("S2").assertions))


if __name__ == "__main__":
    unittest.main()
