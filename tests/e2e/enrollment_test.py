#!/usr/bin/env python3
"""Products that were made with a factory identity and nothing else: they get their certificates themselves, keep them good, and
come back by themselves after they were away for longer than one is good."""

import datetime
import os
import time
import unittest

import product
from harness import Stack, wait_until
from home import Device, Home
from product import ACME, GLOBEX, Balancer, Infra, Pki

LIFE_S = 16
HOURS = str(LIFE_S / 3600)
UNAUTHENTICATED = 16


def not_after(entry):
    return datetime.datetime.fromisoformat(entry["not_after"]).timestamp()


def wait_lapsed(process):
    """Until the newest certificate that the process installed has lapsed."""
    end = not_after(process.log.find("certificate_installed")[-1])
    wait_until(lambda: time.time() > end + 1, "the certificate to lapse", LIFE_S + 10)


class LifeTest(unittest.TestCase):
    def test_a_product_keeps_its_certificates_good_and_comes_back_after_they_lapsed(self):
        with Stack("enrollment") as stack:
            pki = Pki(stack)
            backend = product.start_backend(stack, pki, "backend", "--enrollment", pki.tenants, "--certificate-hours", HOURS)
            home = Home(stack, pki, ACME, "acme", backend, enrolls=True)
            home.found()
            home.add_device("thermo", "temperature", "--interval", "0.05", enrolls=True)
            home.pair_devices()
            watch = home.app.watch()
            watch.wait_readings("thermo", 3)
            gateway, device = home.gateway.process, home.devices["thermo"].process

            # It runs past the end of its first certificate, and of the gateway's: nothing is lost and it is heard all the time.
            for process in (gateway, device):
                first = process.log.find("certificate_installed")[0]
                process.wait_for("certificate_installed", lambda e, f=first: e["serial"] != f["serial"], patience=LIFE_S + 10)
                wait_until(lambda f=first: time.time() > not_after(f) + 2, "its first certificate to lapse", LIFE_S + 10)
            watch.wait_readings("thermo", 20, start=watch.events.mark())
            self.assertEqual(watch.events.find("missing"), [])
            self.assertEqual(watch.alarms(), [])
            self.assertEqual(max(watch.delivered().values()), 1)
            print(f"{len(watch.records('readings', 'thermo'))} readings across the end of the first certificates", flush=True)

            # Switched off for longer than its certificate is good.
            self.assertEqual(device.terminate(), 0)
            wait_lapsed(device)
            mark, seen = device.log.mark(), watch.events.mark()
            device.relaunch()
            device.wait_for("certificate_installed", start=mark)
            watch.wait_readings("thermo", 3, start=seen)

            # The gateway as well, while the device goes on measuring into its journal.
            self.assertEqual(gateway.terminate(), 0)
            wait_lapsed(gateway)
            gateway.replace_option("--listen", f"127.0.0.1:{gateway.port('lan')}")
            mark, seen = gateway.log.mark(), watch.events.mark()
            gateway.relaunch()
            gateway.wait_for("certificate_installed", start=mark)
            watch.wait_readings("thermo", 3, start=seen, patience=40)
            self.assertEqual(watch.events.find("missing"), [])

    def test_a_gateway_without_a_certificate_waits_for_its_next_hop_and_ends_when_asked(self):
        with Stack("enrollment-wait") as stack:
            pki = Pki(stack)
            backend = product.start_backend(stack, pki, "backend", "--enrollment", pki.tenants)
            address = backend.address
            self.assertEqual(backend.process.terminate(), 0)
            leaf, more = product.enrolling(stack, pki, ACME, "gateway", "hall")
            words = ["--listen", product.LISTEN, *leaf.options(pki.roots(ACME)), "--upstream", address, "--upstream-id",
                     backend.spiffe, "--upstream-roots", backend.roots, "--state", stack.path("hall"), *more]
            gateway = stack.start("hall", "keystead-gateway", *words, ready=False)
            gateway.wait_for("enrollment_failed")
            self.assertEqual(gateway.terminate(), 0)
            gateway.launch()
            gateway.wait_for("enrollment_failed", start=gateway.log.mark())
            backend.process.replace_option("--listen", address)
            backend.process.relaunch()
            gateway.wait_ready(40)
            self.assertTrue(os.path.exists(leaf.chain))


class FleetTest(unittest.TestCase):
    def test_many_devices_in_one_process_each_get_their_own(self):
        count = 40  # above what a process watches certificate files for
        with Stack("enrollment-fleet") as stack:
            pki = Pki(stack)
            backend = product.start_backend(stack, pki, "backend", "--enrollment", pki.tenants, "--certificate-hours", HOURS)
            factory = pki.leaves(ACME, "factory", "device.d-", count)
            certs = stack.path("certs")
            words = ["--state", stack.path("devices"), "--ids", "d-", "--count", count, "--certs", certs, "--factory-certs", factory,
                     "--roots", backend.roots, "--next-hop", backend.address, "--next-hop-id", backend.spiffe]
            devices = stack.start("devices", "keystead-device-sim", *words, ports=False)

            def peers(times):
                installed = [entry["peer"] for entry in devices.log.find("certificate_installed")]
                return [peer for peer in set(installed) if installed.count(peer) >= times]
            wait_until(lambda: len(peers(1)) == count, "a certificate for each device")
            self.assertEqual(sorted(os.listdir(certs)), sorted(f"d-{number}" for number in range(count)))
            wait_until(lambda: len(peers(2)) == count, "all to be renewed", 2 * LIFE_S)
            self.assertEqual(devices.log.find("enrollment_failed"), [])
            self.assertEqual(devices.terminate(), 0)


class AttackerTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack("enrollment-attack")
        self.addCleanup(self.stack.close)
        self.pki = pki = Pki(self.stack)
        self.deny = self.stack.path("deny")
        with open(self.deny, "w", encoding="ascii") as file:
            file.write(f"tenant {ACME}\nname device/thief\n")
        self.backend = product.start_backend(self.stack, pki, "backend", "--enrollment", pki.tenants, "--deny-list", self.deny)
        courier = pki.leaf(ACME, "gateway", "front")
        self.infra = Infra(self.stack, pki, "infra", [Balancer("front", pki.provider_leaf("front"), pki.admission,
                                                               {ACME: (courier, self.backend)})])
        front = product.Hop(self.infra.process, "front", f"spiffe://{product.PROVIDER}/service/front", pki.provider_roots)
        self.gateway = product.start_gateway(self.stack, pki, ACME, "hall", front)

    def device(self, name, tenant=ACME):
        return Device(self.stack, self.pki, tenant, name, "temperature", self.gateway, enrolls=True)

    def test_who_is_denied_or_anothers_gets_nothing(self):
        thief = self.device("thief")
        failed = thief.process.wait_for("enrollment_failed")
        self.assertEqual(failed["code"], UNAUTHENTICATED)
        self.backend.process.wait_for("security", lambda e: e["kind"] == "peer_refused" and "deny list" in e["detail"])
        self.assertFalse(os.path.exists(thief.leaf.chain))
        # Tenant B's product does not get as far as a request at A's gateway.
        stranger = Device(self.stack, self.pki, GLOBEX, "stranger", "temperature", self.gateway, enrolls=True)
        stranger.process.wait_for("enrollment_failed")
        self.assertFalse(os.path.exists(stranger.leaf.chain))
        self.assertEqual(self.backend.process.log.find("certificate_issued"), [])
        honest = self.device("honest")
        honest.process.wait_for("certificate_installed")

    def test_a_courier_that_changes_requests_and_answers_only_delays(self):
        request = self.infra.arm("modify", target="cose_ciphertext", topic="enrollment/request")
        bulb = self.device("bulb")
        failed = bulb.process.wait_for("enrollment_failed")
        self.assertEqual(failed["code"], UNAUTHENTICATED)
        bulb.process.wait_for("certificate_installed", patience=30)
        self.assertEqual([entry["refused_code"] for entry in self.infra.injections(request)], [UNAUTHENTICATED])
        # The next one is handed the chain of the one before.
        self.infra.arm("replay", topic="enrollment/chain")
        lamp = self.device("lamp")
        failed = lamp.process.wait_for("enrollment_failed")
        self.assertIn("key does not match", failed["reason"])
        lamp.process.wait_for("certificate_installed", patience=30)


if __name__ == "__main__":
    unittest.main()
