#!/usr/bin/env python3
"""The boundary rule: B1 to B5 as the reference computes them, and B6, which no declaration can talk away."""

import unittest

import boundary


def process(needed, manufacturer, access, **more):
    return {"needed_beyond_basic": needed, "manufacturer_component": manufacturer, "application_layer_access": access, **more}


class RuleTest(unittest.TestCase):
    def test_b1_a_generic_hub_is_needed_but_cannot_read_and_is_out(self):
        self.assertFalse(boundary.in_product(process(True, False, False)))

    def test_b2_a_specialty_gateway_of_the_product_line_is_in_whether_it_reads_or_not(self):
        self.assertTrue(boundary.in_product(process(True, True, False)))
        self.assertTrue(boundary.in_product(process(True, True, True)))

    def test_b3_an_optional_app_of_somebody_else_is_out_although_it_reads(self):
        self.assertFalse(boundary.in_product(process(False, False, True)))

    def test_b4_an_app_of_somebody_else_that_is_the_only_way_to_the_data_is_in_and_gets_a_column(self):
        only_way = process(True, False, True, component="APP3")
        self.assertTrue(boundary.in_product(only_way))
        self.assertEqual(boundary.columns({"app": only_way, "hub": process(True, False, False, component=None)}), ["APP3"])

    def test_b5_a_backend_that_is_needed_beyond_the_basic_feature_is_in(self):
        self.assertTrue(boundary.in_product(process(True, True, False)))
        self.assertFalse(boundary.in_product(process(False, True, False)))

    def test_every_case_has_a_reason_that_agrees_with_it(self):
        for number in range(8):
            case = process(*(bool(number & bit) for bit in (1, 2, 4)))
            self.assertTrue(boundary.reason(case).startswith("in:" if boundary.in_product(case) else "out:"), case)

    def test_a_claim_that_contradicts_the_rule_is_named(self):
        hub = process(True, False, False, in_product=True)
        bulb = process(True, True, True, in_product=True)
        self.assertEqual(list(boundary.contradictions({"hub": hub, "bulb": bulb})), ["hub"])


class MeasuredTest(unittest.TestCase):
    """B6: a hub that is declared blind."""

    def setUp(self):
        self.processes = {"hub": process(True, False, False), "bulb": process(True, True, True)}
        self.control = boundary.Measurement()
        self.control.add("hub", 10, {("store", "canary", "raw")})
        self.measured = boundary.Measurement()

    def test_a_blind_hub_that_shows_nothing_holds(self):
        self.measured.add("hub", 10, set())
        self.measured.add("bulb", 10, {("memory", "canary", "raw")})
        self.assertEqual(boundary.judge(self.processes, self.measured, self.control), [])

    def test_a_hub_that_shows_the_canary_fails_whatever_the_file_says(self):
        self.measured.add("hub", 10, {("store", "canary", "hex")})
        [wrong] = boundary.judge(self.processes, self.measured, self.control)
        self.assertIn("hub is declared without application-layer access", wrong)

    def test_a_hub_that_was_not_looked_into_fails(self):
        self.assertIn("not looked into", boundary.judge(self.processes, self.measured, self.control)[0])
        self.measured.add("hub", 0, set())
        self.assertIn("not looked into", boundary.judge(self.processes, self.measured, self.control)[0])

    def test_a_search_that_finds_nothing_without_protection_proves_nothing(self):
        self.measured.add("hub", 10, set())
        [wrong] = boundary.judge(self.processes, self.measured, boundary.Measurement())
        self.assertIn("cannot see", wrong)
        self.assertEqual(boundary.judge(self.processes, self.measured, boundary.Measurement(), blind={"hub"}), [])


if __name__ == "__main__":
    unittest.main()
