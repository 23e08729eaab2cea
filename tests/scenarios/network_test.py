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

HOME = ("router", "bulb", "tv")
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
                              "import sys; sys.path.insert(0, sys.argv[1])\nimport network\ntry:\n    network.Network(['router'])\n"
                              "except network.Refused as error:\n    print(error)", str(folder)],
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("needs root", run.stdout, run.stderr)
        self.assertLessEqual(namespaces(), before)


class NetworkTest(unittest.TestCase):
    def setUp(self):
        self.before = os.readlink("/proc/thread-self/ns/net")
        try:
            self.network = self.enterContext(network.Network(HOME))
        except network.Refused as error:
            self.skipTest(str(error))

    def test_positions_reach_each_other_and_nothing_else(self):
        listener = self.network.within("tv", lambda: socket.create_server((self.network.addresses["tv"], 0)))
        with listener:
            port = listener.getsockname()[1]
            self.assertEqual(self.network.within("bulb", lambda: calls(self.network.addresses["tv"], port)), 0)
            self.assertEqual(self.network.open_ports("bulb", self.network.addresses["tv"]), {port})
        for name in HOME:
            self.assertNotEqual(self.network.within(name, lambda: calls(OUTSIDE, 443)), 0)
            self.assertEqual(self.network.ways_out(name), [])
        with socket.create_server(("127.0.0.1", 0)) as here:  # the loopback of whoever made the network is another one
            self.assertNotEqual(self.network.within("bulb", lambda: calls("127.0.0.1", here.getsockname()[1])), 0)

    def test_who_says_nothing_sends_no_packet_and_who_speaks_is_captured(self):
        capture = network.Capture(self.network)
        self.assertEqual(self.network.sent("bulb"), {"lo": 0, "eth0": 0})

        def speak():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
                speaker.sendto(b"a planted text", (self.network.addresses["router"], 9))
        self.network.within("tv", speak)
        wait_until(lambda: any(b"a planted text" in frame.said() for frame in capture.of("tv")), "the frame")
        self.network.within("bulb", lambda: calls("127.0.0.1", 9))
        self.assertEqual(capture.stop().of("bulb"), [])
        self.assertGreater(self.network.sent("tv")["eth0"], 0)
        self.assertGreater(self.network.sent("bulb")["lo"], 0)
        self.assertIn(b"a planted text", capture.as_pcap())

    def test_who_made_it_reaches_every_position_until_it_is_closed(self):
        outside = network.Network(["other"])
        outside.close()
        inner = os.readlink("/proc/thread-self/ns/net")
        with self.network.within("tv", lambda: socket.create_server((self.network.addresses["tv"], 0))) as listener:
            self.assertEqual(calls(*listener.getsockname()), 0)
            child = subprocess.run([sys.executable, "-c", "import os; print(os.readlink('/proc/self/ns/net'))"], capture_output=True, text=True, check=True)
            self.assertEqual(child.stdout.strip(), inner)
        self.assertNotEqual(calls(OUTSIDE, 443), 0)
        self.network.close()
        self.assertEqual(os.readlink("/proc/thread-self/ns/net"), self.before)

    def test_too_many_are_refused(self):
        with self.assertRaises(ValueError):
            network.Network([str(number) for number in range(network.MOST + 1)])

    def test_a_process_there_keeps_its_id(self):
        child = subprocess.Popen([*self.network.inside("tv"), "sleep", "60"])
        try:
            wait_until(lambda: b"sleep" in pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes().split(b"\0")[0], "the program")
            self.assertNotEqual(os.readlink(f"/proc/{child.pid}/ns/net"), os.readlink("/proc/self/ns/net"))
        finally:
            child.kill()
            child.wait()

    def test_nothing_is_left_of_a_run_that_was_killed(self):
        code = ("import sys; sys.path[:0] = sys.argv[1:]\nimport os, network\nhome = network.Network(%r)\n"
                "print(*[os.readlink(f'/proc/{holder.pid}/ns/net') for holder in home._holders.values()], flush=True)\ninput()" % (HOME,))
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
