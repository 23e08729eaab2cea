#!/usr/bin/env python3
"""A picture holds every process, apart by boundary, and marks where adversaries stand, whatever the scenario."""

import copy
import re
import unittest

import places  # noqa: F401
import picture
import scenario as scenarios


def drawn(scenario):
    """Every node that a picture has."""
    lanes = picture.nodes_of(scenario, picture.ranks(scenario))
    bands = picture.lay_out(lanes)
    return [(node, lane) for lane, columns in lanes.items() for nodes in columns.values() for node in nodes], bands


def with_many(count):
    """S2 with so many further sensors of product A."""
    original = scenarios.load(scenarios.find("S2"))
    value = copy.deepcopy(original.value)
    for at in range(count):
        value["processes"][f"sensor-{at}"] = dict(value["processes"]["probe-a"])
        value["links"]["bulbs-a"]["from"].append(f"sensor-{at}")
    return scenarios.Scenario(original.path, value)


class PictureTest(unittest.TestCase):
    def test_every_process_of_every_scenario_is_drawn_once(self):
        for path in scenarios.all_files():
            scenario = scenarios.load(path)
            names = [name for node, _ in drawn(scenario)[0] for name in node.names]
            self.assertEqual(sorted(names), sorted(scenario.processes), path.name)

    def test_no_two_nodes_and_no_two_boundaries_overlap(self):
        for path in scenarios.all_files():
            nodes, bands = drawn(scenarios.load(path))
            boxes = [(node.x, node.y, node.x + picture.WIDTH, node.y + node.height) for node, _ in nodes]
            boxes_of_bands = [(left, top, right, top + deep) for _, top, deep, left, right in bands]
            for kind in (boxes, boxes_of_bands):
                for at, one in enumerate(kind):
                    for other in kind[at + 1:]:
                        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
                        self.assertTrue(apart, f"{path.name}: {one} and {other}")

    def test_what_is_in_the_product_stands_within_its_boundary_and_nothing_else_does(self):
        for path in scenarios.all_files():
            scenario = scenarios.load(path)
            nodes, bands = drawn(scenario)
            for node, _ in nodes:
                inside = [lane for lane, top, deep, left, right in bands if left <= node.x and node.x + picture.WIDTH <= right and top <= node.y < top + deep]
                self.assertEqual(len(inside), 1, node.names)
                self.assertEqual(inside[0] is not None, scenario.processes[node.names[0]]["in_product"], node.names)

    def test_where_nobody_calls_anybody_it_says_so_and_every_name_is_whole(self):
        scenario = scenarios.load(scenarios.find("S1"))
        self.assertEqual(picture.in_words(scenario), ["nobody calls anybody"])
        svg = picture.draw(scenario)
        self.assertNotIn("…", svg)
        self.assertNotIn('class="way"', svg)

    def test_adversaries_are_marked_where_they_stand_and_what_they_take(self):
        svg = picture.draw(scenarios.load(scenarios.find("S2")))
        self.assertEqual(svg.count("adv-hub is here"), 2)
        self.assertEqual(svg.count("adv-hub has files"), 3)

    def test_every_adversary_of_every_scenario_is_drawn(self):
        apart = 0
        for path in scenarios.all_files():
            scenario = scenarios.load(path)
            svg = picture.draw(scenario)
            drawn_here = {words.split()[0] for node, _ in drawn(scenario)[0] for _, words in node.tags}
            others = {other.name for other in picture.others(scenario)}
            self.assertEqual(drawn_here | others, set(scenario.value["adversaries"]), path.name)
            self.assertEqual(drawn_here & others, set(), path.name)
            for name in others:
                self.assertRegex(svg, f'<g class="node outside other"><title>{name}: .+, with nothing but its place</title>')
                apart += 1
        self.assertGreater(apart, 5)

    def test_who_has_nothing_but_a_place_stands_outside_of_every_boundary_and_touches_nothing(self):
        for path in scenarios.all_files():
            scenario = scenarios.load(path)
            nodes, bands = drawn(scenario)
            boxes = [(left, top, right, top + deep) for _, top, deep, left, right in bands]
            boxes += [(node.x, node.y, node.x + picture.WIDTH, node.y + node.height) for node, _ in nodes]
            width, bottom = picture.extent([node for node, _ in nodes], bands)
            placed = picture.beside(scenario, width, bottom)
            self.assertEqual(len(placed), len(picture.others(scenario)))
            for at, other in enumerate(placed):
                one = (other.x, other.y, other.x + picture.WIDTH, other.y + other.height)
                self.assertLessEqual(one[2], width, path.name)
                for box in [*boxes, *((two.x, two.y, two.x + picture.WIDTH, two.y + two.height) for two in placed[at + 1:])]:
                    self.assertTrue(one[2] <= box[0] or box[2] <= one[0] or one[3] <= box[1] or box[3] <= one[1], f"{path.name}: {other.name}")

    def test_many_with_nothing_but_a_place_go_into_rows(self):
        scenario = with_many(0)
        for at in range(9):
            scenario.value["adversaries"][f"adv-{at}"] = {"is": "one of many", "stands": "remote"}
        svg = picture.draw(scenario)
        width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
        places_of = {(float(x), float(y)) for x, y in re.findall(r'class="node outside other"><title>[^<]+</title><rect x="([\d.]+)" y="([\d.]+)"', svg)}
        self.assertEqual(len(places_of), 10)
        self.assertGreater(len({y for _, y in places_of}), 1)
        self.assertTrue(all(x + picture.WIDTH <= width and y < height for x, y in places_of))

    def test_who_has_nothing_but_a_place_is_said_in_words(self):
        self.assertEqual(picture.others_in_words(scenarios.load(scenarios.find("S1"))), ["adv-lan stands in the network, with nothing but its place"])
        self.assertEqual(picture.others_in_words(scenarios.load(scenarios.find("C2"))), [])

    def test_callers_stand_left_of_whom_they_call(self):
        for path in scenarios.all_files():
            scenario = scenarios.load(path)
            rank = picture.ranks(scenario)
            for name in scenario.processes:
                for called in scenarios.calls(scenario.value, name):
                    self.assertLess(rank[name], rank[called], f"{path.name}: {name} → {called}")

    def test_many_of_a_kind_are_one_node(self):
        scenario = with_many(47)
        nodes, _ = drawn(scenario)
        self.assertIn("48 × planted", [node.title for node, _ in nodes])
        self.assertLess(len(nodes), 14)
        self.assertEqual(sorted(name for node, _ in nodes for name in node.names), sorted(scenario.processes))

    def test_no_way_runs_through_a_process(self):
        for path in scenarios.all_files():
            scenario = scenarios.load(path)
            nodes, bands = drawn(scenario)
            where = {name: node for node, _ in nodes for name in node.names}
            for way in picture.ways(scenario, where, bands):
                points = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+) (-?[\d.]+)", way)]
                for (x1, y1), (x2, y2) in zip(points, points[1:]):
                    for node, _ in nodes:
                        crosses = min(x1, x2) < node.x + picture.WIDTH - 1 and max(x1, x2) > node.x + 1 and \
                            min(y1, y2) < node.y + node.height - 1 and max(y1, y2) > node.y + 1
                        self.assertFalse(crosses, f"{path.name}: {way} through {node.names}")


if __name__ == "__main__":
    unittest.main()
