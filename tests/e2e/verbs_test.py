#!/usr/bin/env python3
"""The owner's verbs beyond pairing: members, status, remove, and what each says as text; and a device whose journal overflows."""

import unittest

import product
from harness import Stack, wait_until
from home import Home
from product import ACME, Pki


class VerbsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("verbs")
        cls.addClassCleanup(cls.stack.close)
        pki = Pki(cls.stack)
        cls.backend = product.start_backend(cls.stack, pki)
        cls.home = home = Home(cls.stack, pki, ACME, "acme", cls.backend)
        home.found()
        for name, kind in (("bulb", "lightbulb"), ("thermo", "temperature"), ("guest", "soil-moisture")):
            home.add_device(name, kind, "--interval", "0.1")
        home.pair_devices()
        cls.watch = home.app.watch()
        for name in home.devices:
            cls.watch.wait_readings(name, 4)  # so the hop holds more than ten

    def text(self, *words):
        """What a person sees."""
        arguments = [word for word in self.home.app.arguments() if word != "--json"]
        return self.stack.run("keystead-mobile-stub", *arguments, "--quiet", *words).stdout

    def test_1_members_names_everybody_with_kind_and_rights(self):
        listed = self.home.app.call("members")[0]
        self.assertEqual(listed["instantiation"], self.home.instantiation)
        kinds = {member["device"]: member["kind"] for member in listed["members"]}
        self.assertEqual({kinds[name] for name in self.home.devices}, {"device"})
        self.assertEqual(kinds["acme-gateway"], "gateway")
        self.assertEqual([member["kind"] for member in listed["members"] if member["self"]], ["owner"])
        rights = {member["device"]: member["rights"] for member in listed["members"]}
        self.assertEqual(rights["acme-gateway"], [], "a gateway carries; it may neither read nor write")
        member = next(one["member"] for one in listed["members"] if one["device"] == "bulb")
        self.assertEqual({right["topic"] for right in rights["bulb"] if right["read"]}, {f"command/{member}"})
        self.assertEqual({right["topic"] for right in rights["bulb"] if right["write"]}, {f"telemetry/{member}", f"state/{member}"})
        shown = self.text("members")
        for word in (self.home.instantiation, "(this app)", "bulb", "lightbulb", "guest", f"command/{member}"):
            self.assertIn(word, shown)

    def test_2_status_counts_what_the_hop_holds(self):
        status = self.home.app.status()
        self.assertTrue(status["hop_reached"])
        self.assertEqual(status["epoch"], self.home.app.status_epoch())
        streams = {stream["device"] for stream in status["streams"] if stream["topic"].startswith("telemetry/")}
        self.assertEqual(streams, set(self.home.devices))
        self.assertGreater(status["records"], 10)
        shown = self.text("status")
        self.assertIn("next hop reached", shown)
        self.assertRegex(shown, r"thermo +telemetry")

    def test_3_a_removed_device_is_told_and_heard_no_more(self):
        before = self.home.app.status_epoch()
        guest = self.home.devices["guest"].process
        removed = self.home.app.call("remove", "guest", "--wait", "10")[-1]
        self.assertEqual((removed["event"], removed["epoch"], removed["waiting"]), ("removed", before + 1, []))
        self.assertNotIn("guest", [member["device"] for member in self.home.app.call("members")[0]["members"]])
        guest.wait_for("removed")
        for name in ("bulb", "thermo"):
            self.watch.wait_for("record", lambda e, name=name: e["device"] == name and e["epoch"] == before + 1)
        late = self.watch.events.find("record", lambda e: e["device"] == "guest" and e["epoch"] > before)
        self.assertEqual(late, [], "a removed device was read in an epoch after its removal")
        again = self.stack.run("keystead-mobile-stub", *self.home.app.arguments(), "--quiet", "remove", "guest", check=False)
        self.assertEqual(again.returncode, 2, "a request that names nobody is wrong")
        self.assertEqual(len(again.stderr.strip().splitlines()), 1, again.stderr)
        self.assertIn("guest", again.stderr)
        self.assertEqual(self.home.app.status_epoch(), before + 1, "removing nobody made an epoch")


class LossTest(unittest.TestCase):
    """A journal that overflows while the next hop is away: the device itself says which records are lost, signed."""

    def test_an_overflowing_journal_is_reported(self):
        with Stack("loss") as stack:
            pki = Pki(stack)
            backend = product.start_backend(stack, pki)
            home = Home(stack, pki, ACME, "acme", backend)
            home.found()
            home.add_device("thermo", "temperature", "--interval", "0.01", "--journal-bytes", "8192")
            home.pair_devices()
            watch = home.app.watch()
            watch.wait_readings("thermo", 3)
            gateway, device = home.gateway.process, home.devices["thermo"].process
            product.pin_port(gateway, "lan")
            mark = device.log.mark()
            self.assertEqual(gateway.terminate(), 0, gateway.tail())
            device.wait_for("records_lost", start=mark)
            gateway.relaunch()
            reported = watch.wait_for("alarm", lambda e: e["kind"] == "loss_reported")
            self.assertTrue(reported["topic"].startswith("telemetry/") or reported["topic"].startswith("state/"), reported)
            state = watch.wait_for("state", lambda e: e["device"] == "thermo" and e["losses"])
            loss = state["losses"][0]
            # What is said to be lost is exactly what did not come.
            delivered = watch.delivered()
            for one in state["losses"]:
                for sequence in range(one["first"], one["last"] + 1):
                    self.assertNotIn((one.get("stream", state["stream"]), sequence), delivered, loss)
            start = watch.events.mark()
            watch.wait_readings("thermo", 5, start=start)
            wait_until(lambda: not watch.unreported("thermo"), "no gap but what was reported")


if __name__ == "__main__":
    unittest.main()
