#!/usr/bin/env python3
"""What S6 judges by, without processes: where one could write, how many cells there must be, and what is wrong with one."""

import collections
import unittest

import paths  # noqa: F401
from checks import s6
from interface import interface
from shared_cloud import Instantiation, expected_cells, places_of, rows_of


def line(instantiation, topic, stream, sequence, opens=True):
    return {"instantiation": instantiation, "topic": topic, "sender": "aa", "stream": stream, "epoch": 1, "sequence": sequence,
            "opens_at_rest": opens}


class PlacesTest(unittest.TestCase):
    def setUp(self):
        self.rows = rows_of([line("one", "telemetry/x", "s1", 0), line("one", "telemetry/x", "s1", 4), line("one", "telemetry/x", "s2", 9),
                             line("one", "state/x", "s3", 0), line("two", "telemetry/y", "s4", 7), {"opens_at_rest": False}])

    def test_what_does_not_open_at_rest_is_of_nobody(self):
        self.assertEqual({name: len(lines) for name, lines in self.rows.items()}, {"one": 4, "two": 1})

    def test_each_topic_is_one_place_with_the_next_sequence_of_its_stream(self):
        places = places_of(self.rows)
        self.assertEqual([(place["topic"], place["stream"], place["sequence"]) for place in places["one"]], [("telemetry/x", "s1", 5), ("state/x", "s3", 1)])
        self.assertEqual(places["two"][0]["sequence"], 8)

    def test_where_a_device_lives_the_place_is_taken_already(self):
        self.assertEqual(places_of(self.rows, {"two"})["two"][0]["sequence"], 7)


class CellsTest(unittest.TestCase):
    def setUp(self):
        one = Instantiation("acme", 0, "one", None, None, False)
        self.callers = [(None, [(one, ["a", "b", "c"]), (one, ["a"])])]

    def test_the_interface_says_how_many_there_must_be(self):
        counts = collections.Counter(call.service for call in interface().calls)
        self.assertEqual((counts["Transport"], counts["Registry"], counts["Observer"]), (2, 2, 1))
        others = counts["Registry"] + counts["TenantAdmin"]
        self.assertEqual(expected_cells(self.callers, s6.SERVED), 2 * others + (counts["Transport"] + counts["Observer"]) * 4)

    def test_nobody_who_asks_makes_no_cell(self):
        self.assertEqual(expected_cells([], s6.SERVED), 0)


class JudgeTest(unittest.TestCase):
    @staticmethod
    def cell(**change):
        return {"rpc": "Transport/Subscribe", "code": s6.NOT_FOUND, "message": "", "names_victim": False, "same_as_absent": True, "us": 300, "absent_us": 300,
                **change}

    def test_a_refusal_like_that_for_what_does_not_exist_holds(self):
        self.assertEqual(s6.wrong_with(self.cell()), "")
        for rpc in s6.ANSWERS_OF_ONES_OWN:
            self.assertEqual(s6.wrong_with(self.cell(rpc=rpc, code=s6.OK)), "")

    def test_being_let_in_named_or_told_apart_does_not(self):
        for change, why in (({"code": s6.OK}, "code 0"), ({"names_victim": True}, "names the victim"), ({"same_as_absent": False}, "does not exist"),
                            ({"code": 8, "message": "too many"}, "code 8 too many"), ({"rpc": "TenantAdmin/Usage", "code": s6.OK}, "code 0"),
                            ({"code": s6.INVALID}, "code 3"), ({"rpc": "TenantAdmin/Usage", "code": s6.UNIMPLEMENTED}, "code 12")):
            with self.subTest(change=change):
                self.assertIn(why, s6.wrong_with(self.cell(**change)))

    def test_a_time_that_tells_is_found_and_noise_is_not(self):
        same = [self.cell(us=300 + n % 5) for n in range(120)]
        late, times = s6.slower(same)
        self.assertEqual((late, times["Transport/Subscribe"][0]), ({}, 120))
        self.assertEqual(s6.slower([self.cell(us=300 + (n % 2 * 2 - 1) * 200 + 90 * (n % 5 == 0)) for n in range(120)])[0], {}, "noise on both sides")
        self.assertEqual(s6.slower([self.cell(us=450) for n in range(30)])[0], {}, "too few to tell")
        self.assertIn("Transport/Subscribe", s6.slower([self.cell(us=300 + n % 5 + 150) for n in range(120)])[0])
        self.assertIn("Transport/Subscribe", s6.slower([self.cell(us=n % 5) for n in range(120)])[0])

    def test_who_is_no_longer_the_same_is_named(self):
        self.assertEqual(s6.unlike({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3}), ["b", "c"])

    def test_the_filter_of_the_log_is_the_documented_one(self):
        self.assertIn("select(.tenant == $tenant)", s6.documented_filter())
        self.assertTrue(s6.documented_filter().endswith("backend.log"))


if __name__ == "__main__":
    unittest.main()
