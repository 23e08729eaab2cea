#!/usr/bin/env python3
"""Namespaces that a run makes: who reaches whom, what the router sees, and that nothing is left, however the run ends."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import paths
import network
from harness import wait_until

HOME = {"router": "10.75.83.1", "bulb": "10.75.83.10", "tv": "10.75.83.11"}
OUTSIDE = "198.51.100.7"  # nobody's (RFC 5737)


def namespaces():
    """The network namespace of every process."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add(os.readlink(entry / "ns/net"))
            except OSError:
                pass  # it ended
    return found


def calls(address, port):
    with socket.socket() as caller:
        caller.settimeout(5)
        return caller.connect_ex((address, port))


class FrameTest(unittest.TestCase):
    def test_what_is_said_is_what_is_carried(self):
        ethernet = bytes(12)
        self.assertEqual(network.Frame(ethernet + b"\x08\x06" + b"who has").said(), b"")
        self.assertEqual(network.Frame(ethernet + b"\x88\xb5" + b"else").said(), b"else")
        udp = bytes.fromhex("45000021000000004011") + bytes(10) + bytes(8) + b"hello"
        self.assertEqual(network.Frame(ethernet + b"\x08\x00" + udp + bytes(9)).said(), b"hello")
        tcp = bytes.fromhex("4500002d000000004006") + bytes(10) + bytes(12) + b"\x50" + bytes(7) + b"hello"
        self.assertEqual(network.Frame(ethernet + b"\x08\x00" + tcp).said(), b"hello")


class RefusedTest(unittest.TestCase):
    def test_without_the_right_it_says_so_and_leaves_nothing(self):
        before = namespaces()
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # who has no rights need not be able to read the repository
        for module in [*(paths.ROOT / "tests/scenarios").glob("*.py"), *(paths.ROOT / "tests/e2e").glob("*.py")]:
            shutil.copy(module, folder)
        run = subprocess.run([*(["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []), sys.executable, "-B", "-c",
                              "import sys; sys.path.insert(0, sys.argv[1])\nimport network\ntry:\n    network.Network({'router': '10.75.83.1'}, 'router')\n"
                              "except network.Refused as error:\n    print(error)", str(folder)],
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("needs root", run.stdout, run.stderr)
        self.assertLessEqual(namespaces(), before)


class NetworkTest(unittest.TestCase):
    def setUp(self):
        try:
            self.network = self.enterContext(network.Network(HOME, "router"))
        except network.Refused as error:
            self.skipTest(str(error))

    def test_positions_reach_each_other_and_nothing_else(self):
        listener = self.network.within("tv", lambda: socket.create_server((HOME["tv"], 0)))
        with listener:
            port = listener.getsockname()[1]
            self.assertEqual(self.network.within("bulb", lambda: calls(HOME["tv"], port)), 0)
            self.assertEqual(self.network.open_ports("bulb", HOME["tv"]), {port})
        for name in HOME:
            self.assertNotEqual(self.network.within(name, lambda: calls(OUTSIDE, 443)), 0)
            self.assertEqual(self.network.ways_out(name), [])
        with socket.create_server(("127.0.0.1", 0)) as here:  # this machine's own loopback is another one
            self.assertNotEqual(self.network.within("bulb", lambda: calls("127.0.0.1", here.getsockname()[1])), 0)

    def test_who_says_nothing_sends_no_packet_and_who_speaks_is_captured(self):
        capture = network.Capture(self.network)
        self.assertEqual(self.network.sent("bulb"), {"lo": 0, "eth0": 0})

        def speak():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
                speaker.sendto(b"a planted text", (HOME["router"], 9))
        self.network.within("tv", speak)
        wait_until(lambda: any(b"a planted text" in frame.said() for frame in capture.of("tv")), "the frame")
        self.network.within("bulb", lambda: calls("127.0.0.1", 9))
        self.assertEqual(capture.stop().of("bulb"), [])
        self.assertGreater(self.network.sent("tv")["eth0"], 0)
        self.assertGreater(self.network.sent("bulb")["lo"], 0)
        self.assertIn(b"a planted text", capture.as_pcap())

    def test_a_process_there_keeps_its_id(self):
        child = subprocess.Popen([*self.network.inside("tv"), "sleep", "60"])
        try:
            wait_until(lambda: b"sleep" in pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes().split(b"\0")[0], "the program")
            self.assertNotEqual(os.readlink(f"/proc/{child.pid}/ns/net"), os.readlink("/proc/self/ns/net"))
        finally:
            child.kill()
            child.wait()

    def test_nothing_is_left_of_a_run_that_was_killed(self):
        code = ("import sys; sys.path[:0] = sys.argv[1:]\nimport os, network\nhome = network.Network(%r, 'router')\n"
                "print(*[os.readlink(f'/proc/{holder.pid}/ns/net') for holder in home._holders.values()], flush=True)\ninput()" % HOME)
        run = subprocess.Popen([sys.executable, "-B", "-c", code, str(paths.ROOT / "tests/scenarios"), str(paths.ROOT / "tests/e2e")],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        made = set(run.stdout.readline().split())
        self.assertEqual(len(made), len(HOME))
        self.assertLessEqual(made, namespaces())
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdin.close()
        run.stdout.close()
        wait_until(lambda: not made & namespaces(), "the namespaces to be gone")


if __name__ == "__main__":
    unittest.main()
