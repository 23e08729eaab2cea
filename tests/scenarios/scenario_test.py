#!/usr/bin/env python3
"""The scenarios' files are good, and each thing that could be wrong in one is noticed."""

import copy
import pathlib
import re
import tempfile
import unittest

import yaml

import driver
import scenario
import shapes

HERE = pathlib.Path(__file__).resolve().parent


def load(value):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "changed.yaml")
        path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
        return scenario.load(path)


def of(value, name):
    """One assertion of a file's content."""
    return next(one for one in value["assertions"] if one["id"] == name)


class FilesTest(unittest.TestCase):
    def test_every_file_is_good_and_has_a_function_for_every_assertion_that_runs(self):
        files = scenario.all_files()
        self.assertGreaterEqual(len(files), 2)
        for path in files:
            one = scenario.load(path)
            self.assertEqual(one.id, path.stem)
            driver.check_registered(one)

    def test_every_file_and_mutant_has_an_entry_and_one_of_each_family_and_the_short_one_run_by_default(self):
        entries = re.findall(r"^scenario\((\w+)( LONG)? MUTANTS ([\w ]+)\)", (HERE / "CMakeLists.txt").read_text(encoding="utf-8"), re.M)
        found = {name: (bool(long), mutants.split()) for name, long, mutants in entries}
        files = {path.stem: scenario.load(path) for path in scenario.all_files()}
        self.assertEqual(set(found), set(files))
        families = [files[name].value["family"] for name, (long, _) in found.items() if not long]
        self.assertEqual(sorted(families), sorted(["local", *{one.value["family"] for one in files.values()}]))  # two local ones: S1 is short
        for name, (_, mutants) in found.items():
            self.assertEqual(sorted(mutants), sorted(files[name].mutants))

    def test_the_reference_is_whole(self):
        self.assertEqual(scenario.reference_assertions("S2"), [f"S2.{number}" for number in range(1, 9)])
        self.assertEqual(scenario.reference_assertions("C1"), [f"C1.{number}" for number in range(1, 6)])
        self.assertEqual(scenario.reference_assertions("S3b"), [f"S3b.{number}" for number in range(1, 9)])
        self.assertEqual(len([one for one in scenario.outcomes().values() if "feature" not in one]), 17)
        self.assertIn("no_sealing", scenario.known_mutants())


class Changed(unittest.TestCase):
    SCENARIO = "S2"

    @classmethod
    def setUpClass(cls):
        cls.good = yaml.safe_load(scenario.find(cls.SCENARIO).read_text(encoding="utf-8"))
        load(cls.good)

    def wrong(self, change, *texts):
        value = copy.deepcopy(self.good)
        change(value)
        with self.assertRaises(shapes.SchemaError) as caught:
            load(value)
        for text in texts:
            self.assertIn(text, str(caught.exception))
        self.assertTrue(all(line > 1 for line, _ in caught.exception.problems), "a problem stands where it is")


class WrongTest(Changed):
    def test_a_claim_about_the_boundary_that_the_rule_contradicts(self):
        def claim(value):
            value["processes"]["hub-a"].update(in_product=True, component="GW")
        self.wrong(claim, "hub-a is said to be in the product, but the boundary rule says out: needed, but a general thing")

    def test_one_that_is_in_the_product_after_all_and_has_no_column(self):
        self.wrong(lambda v: v["processes"]["hub-a"].update(application_layer_access=True),
                   "hub-a is said to be out of the product, but the boundary rule says in: needed, and it can read application data")

    def test_a_guest_that_owns_or_reads_what_is_no_device_of_its_product(self):
        self.wrong(lambda v: v["processes"]["mobile"].update(granted=["bulb-a"]), "mobile is granted something, and is the owner")
        self.wrong(lambda v: v["processes"]["hub-a"].update(granted=["bulb-a"]), "which only an app is that is no stranger")
        self.wrong(lambda v: v["processes"]["mobile"].update(granted=["bulb-b"]), "is granted what bulb-b measures, which is no device of its product")

    def test_a_stranger_that_is_no_app(self):
        self.wrong(lambda v: v["processes"]["hub-a"].update(stranger=True), "is a stranger, which only an app can be")

    def test_a_device_that_the_control_would_leave_out_without_another_in_its_place(self):
        def alike(process, other):
            return lambda value: value["processes"][process].update(alike=other)
        for process, other in (("bulb-a", "probe-a"), ("bulb-a", "bulb-b"), ("bulb-a", "bulb-a"), ("bulb-a", "nobody"), ("hub-a", "hub-b")):
            self.wrong(alike(process, other), f"{process} is said to be like {other}, which is no device of the same kind and product")

    def test_a_change_after_which_nobody_looks(self):
        change = {"processes": {"of": ["hub-a"], "because": "it is"}}
        for name in ("S2.4", "S2.B6", "S2.end", "S2.7"):
            self.wrong(lambda v, name=name: of(v, name).update(changes=change), f"{name}: changes something, and only after negative assertions that run")

    def test_a_column_for_what_is_out_of_the_product(self):
        self.wrong(lambda v: v["processes"]["hub-a"].update(component="GW"), "has no column")
        self.wrong(lambda v: of(v, "S2.B6")["outcomes"].update({"DP.3": ["GW"]}), "S2.B6: GW has no column here")

    def test_an_outcome_or_component_that_the_reference_does_not_know(self):
        self.wrong(lambda v: of(v, "S2.B6")["outcomes"].update({"DP.9": ["DEV"]}), "DP.9 is none of the reference's outcomes")
        self.wrong(lambda v: of(v, "S2.B6")["outcomes"].update({"IAC.2b": ["APP"]}), "asks IAC.2b of DEV, GW, BE only")

    def test_an_assertion_of_the_reference_that_is_left_out(self):
        self.wrong(lambda v: v["assertions"].remove(of(v, "S2.1")), "the reference's S2.1 is missing")
        self.wrong(lambda v: v["assertions"].remove(of(v, "S2.B6")), "S2.B6 is missing, which every scenario has")

    def test_an_assertion_that_neither_runs_nor_says_why(self):
        self.wrong(lambda v: of(v, "S2.1").pop("expected"), "S2.1: wanted either expected, or one of not_run")
        self.wrong(lambda v: of(v, "S2.1").update(not_run="later"), "S2.1: wanted either expected, or one of not_run")
        self.wrong(lambda v: of(v, "S2.1").update(id="S2.B6"), "stands there twice")

    def test_a_grant_that_the_control_of_the_process_forbids(self):
        files = {"registry": ["store"]}
        self.wrong(lambda v: v["adversaries"]["adv-hub"].update(files=files), "stands local and is granted files of registry, which is managed remote")
        self.wrong(lambda v: v["adversaries"]["adv-hub"].update(stands="network"), "whoever carries has no files of others")
        self.wrong(lambda v: v["adversaries"]["adv-hub"].update(positions=["hub-a"]), "position hub-a is no equipment")

    def test_links_that_lead_nowhere_or_in_a_circle(self):
        self.wrong(lambda v: v["links"].pop("app-a"), "mobile has no link that comes from it")
        self.wrong(lambda v: v["links"]["app-a"].update(to="nobody"), "nobody is none of the processes")
        self.wrong(lambda v: v["links"]["app-a"].update(through=["hub-b"]), "which is no equipment")
        self.wrong(lambda v: v["links"].update(back={"from": ["registry"], "to": "hub-a"}), "back to hub-a")
        self.wrong(lambda v: v["links"].update(twice={"from": ["mobile"], "to": "hub-a"}), "each has one next hop")

    def test_a_mutant_that_is_none_or_names_what_cannot_fail(self):
        self.wrong(lambda v: v["mutants"].update(no_such={"fails": ["S2.1"], "because": "so"}), "no_such is no mutant; known are")
        self.wrong(lambda v: v["mutants"]["no_sealing"].update(fails=["S2.7"]), "S2.7 is no assertion that runs")

    def test_a_role_that_nobody_has(self):
        self.wrong(lambda v: v["processes"]["hub-a"]["responsible"].update(software="nobody"), "responsible for its software, is none of the roles")
        self.wrong(lambda v: v["processes"]["hub-a"]["responsible"].pop("platform"), "says nothing of platform")

    def test_a_provider_or_a_journal_where_there_is_none_and_a_tenant_of_two_providers(self):
        self.wrong(lambda v: v["processes"]["bulb-a"].update(provider="provider-two.example"), "bulb-a has a provider, which only backends have")
        self.wrong(lambda v: v["processes"]["registry"].update(journal_bytes=4096), "registry has journal_bytes, which only devices have")
        self.wrong(lambda v: v["processes"]["hub-a"].update(metrics=True), "hub-a has metrics, which only of backends are looked at")

        def two(value):
            value["processes"]["other"] = {**value["processes"]["registry"], "provider": "provider-two.example"}
            value["products"]["B"].update(tenant="acme", provider="other")
        self.wrong(two, "product B: acme is a tenant of provider-one.example already")

    def test_a_product_that_is_neither_alone_nor_whole(self):
        self.wrong(lambda v: v["products"]["A"].pop("provider"), "product A says nothing of provider, and not that it is alone")
        self.wrong(lambda v: v["products"]["A"].update(alone=True), "product A is alone and has owner", "is alone and consists of", "is alone, and link")

    def test_a_scenario_that_shows_everything(self):
        self.wrong(lambda v: v.update(not_shown=[]), "wanted at least 1")


class AloneTest(Changed):
    """Devices alone, and who has a place in the network."""

    SCENARIO = "S1"

    def test_a_device_alone_that_is_linked_or_in_company(self):
        self.wrong(lambda v: v["links"].update({"out": {"from": ["bulb"], "to": "router"}}), "product light is alone, and link out leads to or from bulb")
        self.wrong(lambda v: v["processes"]["tv"].update(product="light"), "product light is alone and consists of bulb, tv", "consists of nothing")
        self.wrong(lambda v: v["products"]["light"].update(provider="router"), "product light is alone and has provider")
        self.wrong(lambda v: v["products"]["light"].update(tenant="nobody"), "nobody is none of the tenants")
        self.wrong(lambda v: v["products"]["light"].update(alone=False), "product light says nothing of owner, and not that it is alone")

    def test_everybody_has_a_place_and_who_has_a_position_no_second_one(self):
        self.assertEqual(scenario.load(scenario.find("S1")).positions(), ["bulb", "tv", "router", "adv-lan", "guest"])
        places = scenario.load(scenario.find("S5")).positions()
        self.assertIn("isp", places)
        self.assertNotIn("adv-net", places)


if __name__ == "__main__":
    unittest.main()
