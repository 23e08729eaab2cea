#!/usr/bin/env python3
"""A few attacks on each hop, each refused or noticed at exactly its record. scripts/demo makes all of them."""

import pathlib
import sys
import unittest

import harness
from harness import Stack, wait_until
from product import ACME
from world import World, listener_of

sys.path.insert(0, str(pathlib.Path(harness.ROOT) / "scripts/lib"))
from demo_attacks import Evidence, Injection, judge  # noqa: E402

PLAN = [("modify", "topic"), ("modify", "stream"), ("modify", "cose_partial_iv"), ("modify", "cose_tag"), ("splice", "sequence"),
        ("truncate", "cose_ciphertext"), ("forge", "stream"), ("ack_and_drop", None), ("duplicate", None)]


class RelayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("relay")
        cls.addClassCleanup(cls.stack.close)
        cls.world = World(cls.stack, {"acme": ACME})
        cls.home = cls.world.homes["acme"]
        cls.home.found(cls.home.couriers)
        cls.home.add_device("thermo", "temperature", "--interval", "0.05", hop=cls.home.device_hop)
        cls.home.pair_devices()
        cls.watch = cls.home.app.watch()
        cls.watch.wait_readings("thermo", 5)

    def attack(self, hop, direction, next_hop):
        box = self.world.infra(hop, "balancer")
        numbers = box.plan([{"kind": kind, "target": target, "listener": listener_of(hop, "acme"), "direction": direction, "topic": "telemetry/",
                             "seed": 3} for kind, target in PLAN])
        self.assertEqual(box.wait_spent(numbers), set(), "an attack that was not made proves nothing")
        evidence = Evidence()

        def accounted_for():
            evidence.answered.clear()  # each look judges everything anew
            evidence.take_watch("phone", self.watch.events)
            for process in (self.home.gateway.process, self.world.backend.process):
                evidence.take_security_log(process.name, process.log)
            found = [Injection(hop, "balancer", raw) for raw in box.injections() if int(raw["attack"]) in numbers]
            open_ones.clear()
            open_ones.extend(str(one) for one in found if not judge(one, evidence, next_hop))
            return len(found) == len(PLAN) and not open_ones
        open_ones = []
        wait_until(accounted_for, lambda: f"these to be refused or noticed: {open_ones}")
        self.assertFalse([place for place, times in self.watch.delivered().items() if times > 1])
        start = self.watch.events.mark()
        self.watch.wait_readings("thermo", 3, start=start)

    def test_between_device_and_gateway(self):
        self.attack("device-gateway", "up", "acme-gateway")

    def test_between_gateway_and_backend(self):
        self.attack("gateway-backend", "up", "backend")

    def test_between_backend_and_phone(self):
        self.attack("backend-app", "down", "backend")


if __name__ == "__main__":
    unittest.main()
