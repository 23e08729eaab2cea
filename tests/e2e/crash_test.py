#!/usr/bin/env python3
"""kill -9 of gateway and backend at random moments: nothing acknowledged is lost, nothing comes twice.

The devices keep what is not acknowledged and nothing else, the gateway likewise; so whatever a killed hop had
acknowledged and lost would be missing at the phone for good."""

import os
import random
import time
import unittest

import product
from harness import Stack, wait_until
from home import Home
from product import ACME, Pki

ROUNDS = 400 if os.environ.get("KEYSTEAD_LONG") == "1" else 50
SEED = int(os.environ.get("KEYSTEAD_SEED", "0")) or int.from_bytes(os.urandom(4), "big")


class CrashTest(unittest.TestCase):
    def test_kills_at_random_moments(self):
        print(f"seed {SEED} (KEYSTEAD_SEED repeats it), {ROUNDS} kills", flush=True)
        chance = random.Random(SEED)
        with Stack("crash") as stack:
            pki = Pki(stack)
            backend = product.start_backend(stack, pki)
            home = Home(stack, pki, ACME, "acme", backend)
            home.found()
            for number in range(3):
                home.add_device(f"device-{number}", "temperature", "--interval", "0.01", "--seed", number)
            home.pair_devices()
            hops = {"backend": (backend.process, "grpc"), "gateway": (home.gateway.process, "lan")}
            for process, port in hops.values():
                product.pin_port(process, port)
            watch = home.app.watch()
            watch.wait_readings("device-0", 5)
            killed = {name: 0 for name in hops}
            for turn in range(ROUNDS):
                name = "backend" if turn % 2 else "gateway"
                process, _ = hops[name]
                time.sleep(chance.uniform(0, 0.15))  # the random moment; nothing is awaited here
                process.kill()
                killed[name] += 1
                process.relaunch()
                start = watch.events.mark()
                watch.wait_readings("device-0", 1, start=start)  # the path works again before the next blow
            print(f"killed: {killed}", flush=True)
            self.check(home, watch)

    def check(self, home, watch):
        """All that the devices sealed, each once, in whole streams with a signed end."""
        sealed = 0
        for device in home.devices.values():
            self.assertEqual(device.process.terminate(30), 0, device.process.tail())
            stopped = device.process.log.find("stopped")[-1]
            self.assertEqual(stopped["records_lost"], 0, stopped)
            self.assertEqual(stopped["groups_journalled"], 0, f"not acknowledged in the end: {stopped}")
            sealed += stopped["records"]

        def all_there():
            return sum(state["received"] for state in watch.latest_states().values()) >= sealed
        wait_until(all_there, lambda: f"{sealed} records at the phone: "
                   f"{[(s['device'], s['received'], s['next'], s['missing']) for s in watch.latest_states().values()]}", 60)
        for state in watch.latest_states().values():
            self.assertEqual(state["missing"], [], state)
            self.assertEqual(state["next"], state["received"], state)
            self.assertTrue(state["ended"], state)
            self.assertLessEqual(state["pending"], 1, state)  # the closing checkpoint, which no other covers
            self.assertEqual(state["conflicts"] + state["refused"], 0, state)
        self.assertEqual(sum(state["received"] for state in watch.latest_states().values()), sealed)
        twice = {place: times for place, times in watch.delivered().items() if times > 1}
        self.assertEqual(twice, {})
        self.assertEqual([alarm for alarm in watch.alarms() if alarm["kind"] != "stale"], [])
        resent = sum(state["duplicates"] for state in watch.latest_states().values())
        print(f"{sealed} records, {resent} came to the phone more than once and were recognised", flush=True)


if __name__ == "__main__":
    unittest.main()
