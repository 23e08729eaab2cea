#!/usr/bin/env python3
"""A device without a home: what it does by itself, what it keeps, and what it refuses."""

import os
import pathlib
import unittest

import product
from harness import Stack
from home import Device, Home
from lone import Lone


class AloneTest(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack("alone"))

    def bulb(self, *options):
        return Lone(self.stack, "bulb", "--kind", "lightbulb", "--interval", "0.05", *options)

    def refused(self, *options, code):
        result = self.stack.run("keystead-device-sim", *options, "--quiet", check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        return result.stderr

    def test_it_obeys_its_buttons_and_has_no_socket(self):
        bulb = self.bulb()
        bulb.press("brightness 40")
        self.assertEqual(bulb.shown(lambda values: values["brightness"] == 40)["power"], 3.84)
        links = [os.readlink(f"/proc/{bulb.process.popen.pid}/fd/{name}") for name in os.listdir(f"/proc/{bulb.process.popen.pid}/fd")]
        self.assertEqual([link for link in links if link.startswith("socket:")], [])
        self.assertEqual(bulb.process.terminate(), 0)

    def test_killed_it_has_again_what_it_kept_and_a_reset_forgets_it(self):
        bulb = self.bulb()
        bulb.new_shown(10)
        bulb.process.kill()
        self.assertGreaterEqual(bulb.restart()["records"], 10)
        self.assertEqual(bulb.restart("--reset")["records"], 0)

    def test_one_process_at_a_time_has_a_state(self):
        bulb = self.bulb()
        bulb.new_shown(1)
        self.assertIn("in use by another process", self.refused("--alone", "--state", bulb.state, "--id", "bulb", code=1))

    def test_what_leads_to_a_hop_does_not_go_with_it_and_is_needed_without_it(self):
        words = ["--state", self.stack.path("state"), "--id", "bulb"]
        for option in (["--next-hop", "localhost:1"], ["--roots", "ca.pem"], ["--tls-chain", "chain.pem"], ["--label-out", "label"], ["--arm"],
                       ["--metrics-listen", "127.0.0.1:0"]):
            self.assertIn("excludes", self.refused("--alone", *words, *option, code=2))
        self.assertIn("--next-hop is required", self.refused(*words, code=2))
        self.assertIn("requires --alone", self.refused(*words, "--display", code=2))
        self.assertIn("either --id or --ids is needed", self.refused("--alone", "--state", self.stack.path("state"), code=1))
        self.assertFalse(pathlib.Path(self.stack.path("state")).exists())


class HomeTest(unittest.TestCase):
    def test_who_belongs_to_a_home_is_not_alone_and_who_comes_to_one_has_forgotten_what_it_kept_alone(self):
        stack = self.enterContext(Stack("alone-home"))
        pki = product.Pki(stack)
        home = Home(stack, pki, product.ACME, "home", product.start_backend(stack, pki))
        home.found()
        lone = Lone(stack, "lamp-alone", "--id", "lamp", "--kind", "lightbulb")
        lone.new_shown(2)
        self.assertEqual(lone.process.terminate(), 0)
        state = pathlib.Path(lone.state)
        self.assertEqual(len(list(state.glob("lamp.diary*"))), 2)
        lamp = home.devices["lamp"] = Device(stack, pki, product.ACME, "lamp", "lightbulb", home.gateway, state=state)
        home.pair_devices()
        self.assertEqual(list(state.glob("lamp.diary*")), [])
        self.assertEqual(lamp.process.terminate(), 0)
        result = stack.run("keystead-device-sim", "--alone", "--state", state, "--id", "lamp", "--quiet", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("lamp belongs to a home: start it with its --next-hop", result.stderr)


if __name__ == "__main__":
    unittest.main()
