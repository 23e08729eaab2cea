#!/usr/bin/env python3
"""A trap hears who speaks, and a judgement over what it heard fails both when somebody spoke and when nobody could be heard."""

import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import types
import unittest
import unittest.mock

import paths  # noqa: F401
import driver
from harness import wait_until
from registry import NotMet
from trap import Trap, nobody_spoke


class TrapTest(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.leaf = types.SimpleNamespace(chain=str(folder / "chain"), key=str(folder / "key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a", "-keyout",
                        self.leaf.key, "-out", self.leaf.chain], check=True, capture_output=True)

    def call(self, trap, says, verify):
        context = ssl.create_default_context(cafile=self.leaf.chain if verify == "this" else None)
        context.check_hostname = False
        host, port = trap.address("front").split(":")
        try:
            with context.wrap_socket(socket.create_connection((host, int(port)), 5)) as tls:
                tls.sendall(says)
        except ssl.SSLError:
            pass

    def test_whoever_takes_the_certificate_is_heard_and_whoever_does_not_says_nothing(self):
        with Trap(["front"]) as trap:
            trap.show("shown", self.leaf)
            self.call(trap, b"hello", "this")
            self.call(trap, b"hello", "others")
            callers = wait_until(lambda: len(trap.of("shown", "front")) == 2 and trap.of("shown", "front"), "both callers")
            self.assertEqual({caller.said: bool(caller.error) for caller in callers}, {b"hello": False, b"": True})

    def test_everything_is_shown_through_every_door_and_then_the_way_leads_back(self):
        ways, after = [], threading.Event()

        def knock(trap):
            while not after.is_set():
                self.call(trap, b"hello", "this")
        with Trap(["front"]) as trap, unittest.mock.patch("trap.repoint", lambda relay, way: ways.append((relay, way))):
            caller = threading.Thread(target=knock, args=(trap,))
            trap.show("nothing yet", self.leaf)
            caller.start()
            try:
                told = trap.meet_all(driver.Run, {"one": self.leaf, "other": {"front": self.leaf}}, "the relay", {"front": "home"}, 20)
            finally:
                after.set()
                caller.join()
            self.assertEqual(ways, [("the relay", {"front": trap.address("front")}), ("the relay", {"front": "home"})])
        self.assertEqual(set(told), {"one", "other"})
        self.assertTrue(all(caller == {"tls": "completed", "bytes": 5} for doors in told.values() for caller in doors["front"]))

    def test_a_door_through_which_nobody_comes_is_no_refusal(self):
        with Trap(["front"]) as trap, unittest.mock.patch("trap.repoint", lambda relay, way: None), self.assertRaises(NotMet):
            trap.meet_all(driver.Run, {"one": self.leaf}, "the relay", {}, 0)

    def test_a_word_to_the_wrong_one_fails_and_so_does_a_trap_that_hears_nobody(self):
        silent, heard = {"front": [{"bytes": 0}]}, {"front": [{"bytes": 0}, {"bytes": 9}]}
        nobody_spoke({"wrong": silent, "right": heard}, "right", None)
        with self.assertRaises(NotMet):
            nobody_spoke({"wrong": heard, "right": heard}, "right", None)
        with self.assertRaises(NotMet):
            nobody_spoke({"wrong": silent, "right": silent}, "right", None)


if __name__ == "__main__":
    unittest.main()
