#!/usr/bin/env python3
"""A reading from each device to the phone and a command back, over every hop; and what outages do to them: nothing."""

import datetime
import subprocess
import unittest

import product
from harness import Stack, wait_until
from home import relabel, scan_qr
from product import ACME
from world import World


class DataPathTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("data-path")
        cls.addClassCleanup(cls.stack.close)
        cls.world = world = World(cls.stack, {"acme": ACME})
        cls.home = world.homes["acme"]
        cls.home.found(cls.home.couriers)
        for name, kind in (("bulb", "lightbulb"), ("thermo", "temperature"), ("cuff", "blood-pressure")):
            cls.home.add_device(name, kind, "--interval", "0.1", hop=cls.home.device_hop)
        cls.paired = cls.home.pair_devices()
        cls.watch = cls.home.app.watch()

    def new_readings_of_all(self, count=3):
        """Waits for `count` readings of each device from here on."""
        start = self.watch.events.mark()
        for name in self.home.devices:
            self.watch.wait_readings(name, count, start=start)

    def check_whole(self):
        """Everything delivered so far came once and without a gap, and nothing rang an alarm but for staleness."""
        streams = {}
        for (stream, sequence), times in self.watch.delivered().items():
            self.assertEqual(times, 1, f"{stream} #{sequence} was delivered {times} times")
            streams.setdefault(stream, set()).add(sequence)
        for stream, sequences in streams.items():
            # What `pair` saw while it waited for the devices' streams is remembered and not shown again.
            gaps = set(range(min(sequences), max(sequences) + 1)) - sequences
            self.assertFalse(gaps, f"stream {stream} has gaps")
        self.assertEqual(self.watch.events.find("missing"), [])
        self.assertEqual([a for a in self.watch.alarms() if a["kind"] != "stale"], [])

    def test_joining_named_every_device_and_pairing_is_over(self):
        self.assertEqual(sorted(one["device"] for one in self.paired["paired"]), ["bulb", "cuff", "thermo"])
        self.assertEqual(self.paired["failed"], [])
        before = self.home.app.call("members")[0]
        lines, result = self.home.app.pair([self.home.devices["bulb"].label], wait=2, check=False)
        self.assertEqual(result.returncode, 1, lines)
        failed = [line for line in lines if line["event"] == "paired"][0]
        self.assertEqual((failed["paired"], [one["device"] for one in failed["failed"]]), ([], ["bulb"]))
        self.assertIn("reset it", failed["failed"][0]["reason"])
        self.assertIn("bulb: ", result.stderr)
        self.assertEqual(self.home.app.call("members")[0], before, "a failed pairing left something in the roster")

    def test_readings_arrive_confirmed_and_live(self):
        self.new_readings_of_all()
        for name in self.home.devices:
            self.watch.wait_for("state", lambda e, name=name: e["device"] == name and e["liveness"] == "live" and
                                e["confirmed"] > 0 and e["topic"].startswith("telemetry/"))
        channels = {reading["channel"] for record in self.watch.records("readings") for reading in record["readings"]}
        self.assertGreaterEqual(len(channels), 4, channels)
        self.check_whole()

    def test_each_stream_has_a_key_of_its_own(self):
        self.new_readings_of_all(1)
        kids = {}
        for record in self.home.app.call("raw", "--last", "50"):
            if record["kid"]:
                kids.setdefault(record["kid"], set()).add(record["stream"])
        self.assertGreaterEqual(len(kids), 3)
        self.assertTrue(all(len(streams) == 1 for streams in kids.values()), kids)

    def test_a_command_is_done_and_answered_with_a_signature(self):
        start = self.watch.events.mark()
        answer = [line for line in self.home.app.send("bulb", "on") if line["event"] == "answer"][0]
        self.assertEqual(answer["result"], "done")
        seen = self.watch.wait_for("record", lambda e: e["kind"] == "answer" and
                                   e["answer"]["command"] == answer["command"], start=start)
        self.assertTrue(seen["confirmed"])
        lines, result = self.home.app.send("thermo", "on", check=False)
        self.assertEqual(result.returncode, 1, lines)
        refused = [line for line in lines if line["event"] == "answer"][0]
        self.assertEqual(refused["result"], "unsupported", "a thermometer has nothing to switch, and says so itself")
        self.assertEqual(self.home.devices["thermo"].process.log.find("command_done"), [])

    def test_the_gateway_keeps_what_the_backend_cannot_take(self):
        backend, gateway = self.world.backend.process, self.home.gateway.process
        product.pin_port(backend, "grpc")
        self.new_readings_of_all(1)
        mark = gateway.log.mark()
        self.assertEqual(backend.terminate(), 0, backend.tail())
        gateway.wait_for("upstream_disconnected", start=mark)
        cut_off = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        # Meanwhile the home goes on: a second reader at the gateway sees readings that were taken with the Internet down.
        local = self.home.app.watch("local-watch", hop=self.home.gateway)

        def taken_since(watch):
            return [record for record in watch.records("readings", "thermo")
                    if all(reading["taken"] > cut_off for reading in record["readings"])]
        wait_until(lambda: len(taken_since(local)) >= 5, "five readings that were taken while the backend was gone")
        self.assertEqual(taken_since(self.watch), [], "nothing gets to the phone behind the backend")
        local.process.terminate()
        backend.relaunch()
        gateway.wait_for("upstream_connected", start=mark)
        wait_until(lambda: len(taken_since(self.watch)) >= 5, "what was taken meanwhile to come to the phone")
        self.new_readings_of_all()
        self.check_whole()

    def test_the_device_keeps_what_the_gateway_cannot_take(self):
        gateway = self.home.gateway.process
        product.pin_port(gateway, "lan")
        self.new_readings_of_all(1)
        device = self.home.devices["thermo"].process
        mark = device.log.mark()
        self.assertEqual(gateway.terminate(), 0, gateway.tail())
        device.wait_for("disconnected", start=mark)
        gateway.relaunch()
        device.wait_for("connected", start=mark)
        self.new_readings_of_all()
        self.check_whole()

    def test_a_device_that_ends_says_so_and_comes_back_in_a_new_stream(self):
        cuff = self.home.devices["cuff"].process
        self.watch.wait_readings("cuff")
        start = self.watch.events.mark()
        self.assertEqual(cuff.terminate(), 0, cuff.tail())
        ended = self.watch.wait_for("state", lambda e: e["device"] == "cuff" and e["ended"] and
                                    e["topic"].startswith("telemetry/"), start=start)
        self.assertEqual(ended["missing"], [])
        self.assertEqual(cuff.log.find("stopped")[-1]["groups_journalled"], 0)
        cuff.relaunch()
        again = self.watch.wait_readings("cuff", 2, start=start)
        self.assertNotEqual(again[-1]["stream"], ended["stream"])
        self.check_whole()


class LabelTest(unittest.TestCase):
    """The label of a running device: what zbarimg reads from its QR code is the text beside it."""

    def test_qr_code_on_the_terminal_is_the_label(self):
        with Stack("label") as stack:
            pki = product.Pki(stack)
            leaf = pki.leaf(ACME, "device", "lamp")
            transcript = stack.path("terminal")
            # script(1) gives it a terminal: on anything else a label, which holds a secret, is not shown.
            words = [str(product.harness.bin_dir() / "keystead-device-sim"), "--state", stack.path("state"), "--id", "lamp",
                     "--kind", "lightbulb", "--tls-chain", leaf.chain, "--tls-key", leaf.key, "--next-hop", "127.0.0.1:1",
                     "--next-hop-id", f"spiffe://{ACME}/gateway/hall", "--roots", pki.roots(ACME), "--show-label",
                     "--label-out", stack.path("lamp.label"), "--duration", "1", "--stop-seconds", "0", "--quiet"]
            plain = subprocess.run(words, capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL)
            self.assertEqual(plain.returncode, 1)
            self.assertNotIn(b"KS1:", plain.stdout + plain.stderr)
            subprocess.run(["script", "-qec", " ".join(words), transcript], capture_output=True, timeout=30, check=True,
                           stdin=subprocess.DEVNULL)
            with open(transcript, encoding="utf-8") as file:
                shown = file.read()
            with open(stack.path("lamp.label"), encoding="ascii") as file:
                label = relabel(file.read())
            self.assertIn(label, relabel(shown[shown.index("KS1:"):]))
            write_pgm(shown, stack.path("label.pgm"))
            seen = scan_qr(stack.path("label.pgm"))
            if seen is None:
                self.skipTest("zbarimg is not installed")
            self.assertEqual(seen, label)


def write_pgm(shown, path, scale=4):
    """The half blocks on the terminal as an image."""
    rows = []
    for line in shown.splitlines():
        if "\x1b[38;5;16;48;5;231m" not in line:
            continue
        cells = line.split("m", 1)[1].split("\x1b")[0]
        rows.append([cell in "\u2588\u2580" for cell in cells])
        rows.append([cell in "\u2588\u2584" for cell in cells])
    side = len(rows[0])
    pixels = b"".join(bytes(0 if dark else 255 for dark in row for _ in range(scale)) * scale for row in rows)
    with open(path, "wb") as file:
        file.write(f"P5\n{side * scale} {len(rows) * scale}\n255\n".encode() + pixels)


if __name__ == "__main__":
    unittest.main()
