#!/usr/bin/env python3
"""What is wrong in a YAML file is said with its name and line, and what was wanted instead."""

import pathlib
import tempfile
import unittest

import shapes
from shapes import Flag, ListOf, MapOf, Number, Record, Text

SHAPE = Record({"name": Text(pattern="[a-z]+"), "kind": Text("one", "two"), "on": Flag(), "many": ListOf(Number(1, 9), 1)},
               {"more": MapOf(Record({"text": Text()}), at_least=1)})
GOOD = "name: abc\nkind: two\non: true\nmany: [1, 2]\n"


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "file.yaml")
        path.write_text(text, encoding="utf-8")
        value, reading = shapes.load(path, SHAPE)
        shapes.done(reading)
        return value


class ShapesTest(unittest.TestCase):
    def problems(self, text):
        with self.assertRaises(shapes.SchemaError) as caught:
            read(text)
        for line in str(caught.exception).splitlines():
            self.assertRegex(line, r"file\.yaml:\d+: ")
        return caught.exception.problems

    def test_a_good_file_is_read(self):
        self.assertEqual(read(GOOD + "more:\n  a: {text: hello}\n"),
                         {"name": "abc", "kind": "two", "on": True, "many": [1, 2], "more": {"a": {"text": "hello"}}})

    def test_an_unknown_key_is_named_with_its_line_and_what_is_known(self):
        [(line, text)] = self.problems(GOOD + "nmae: x\n")
        self.assertEqual(line, 5)
        self.assertIn("nmae is not known; known are name, kind, on, many, more", text)

    def test_a_missing_key_is_named(self):
        [(line, text)] = self.problems("kind: two\non: true\nmany: [1]\n")
        self.assertEqual((line, text), (1, "the file says nothing of name"))

    def test_a_key_that_comes_twice_is_an_error_and_not_overwritten(self):
        [(line, text)] = self.problems(GOOD + "name: def\n")
        self.assertEqual((line, text), (5, "name stands there twice"))

    def test_each_value_has_its_shape(self):
        for old, new, wanted in (("two", "three", "one of one, two"), ("true", "maybe", "true or false"), ("[1, 2]", "[]", "at least 1"),
                                 ("[1, 2]", "[10]", "from 1 to 9"), ("[1, 2]", "7", "a list"), ("abc", "A1", "a text like"),
                                 ("abc", "", "a text like"), ("abc", "{}", "a text like")):
            [(_, text)] = self.problems(GOOD.replace(old, new))
            self.assertIn(wanted, text)

    def test_all_problems_are_told_at_once_in_the_order_of_the_file(self):
        found = self.problems("name: A\nkind: three\non: 5\nmany: [0]\nwhat: 1\n")
        self.assertEqual([line for line, _ in found], [1, 2, 3, 4, 5])

    def test_what_is_no_yaml_says_where(self):
        [(line, text)] = self.problems("name: abc\n  kind: [\n")
        self.assertEqual(line, 2)
        self.assertIn("not YAML", text)
        self.problems("")


if __name__ == "__main__":
    unittest.main()
