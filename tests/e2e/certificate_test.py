#!/usr/bin/env python3
"""Certificates in a running product: one that is renewed under a stream, and one of the right tenant from the wrong authority."""

import os
import shutil
import unittest

import product
from harness import Stack, wait_until
from home import App, Home
from product import ACME, Leaf, Pki
from tls_client import s_client


class HotReloadTest(unittest.TestCase):
    def test_a_renewed_certificate_is_shown_and_nothing_that_runs_is_cut(self):
        with Stack("renewed") as stack:
            pki = Pki(stack)
            backend = product.start_backend(stack, pki)
            home = Home(stack, pki, ACME, "acme", backend)
            home.found()
            home.add_device("thermo", "temperature", "--interval", "0.05")
            home.pair_devices()
            watch = home.app.watch()
            watch.wait_readings("thermo", 3)
            gateway, device = home.gateway.process, home.devices["thermo"].process
            old = Leaf(os.path.join(pki.tenants, ACME, "gateway", "acme-gateway"), home.gateway.spiffe)
            good = pki.leaf(ACME, "device", "caller")

            def shown():
                text = s_client(gateway.address("lan"), pki.roots(ACME), good, ("-tls1_3", "-showcerts")).output.decode(errors="replace")
                return text[text.index("-----BEGIN CERTIFICATE"):text.index("-----END CERTIFICATE")]
            before, disconnected = shown(), len(device.log.find("disconnected"))
            with open(old.chain, encoding="ascii") as file:
                first = file.read()
            fresh = pki.renew(ACME, "gateway", "acme-gateway", "--server")
            with open(fresh.chain, encoding="ascii") as file:
                self.assertNotEqual(file.read(), first)
            wait_until(lambda: shown() != before, "the gateway to show its renewed certificate")
            start = watch.events.mark()
            watch.wait_readings("thermo", 10, start=start)
            self.assertEqual(len(device.log.find("disconnected")), disconnected, "the running stream was cut")
            self.assertEqual(watch.events.find("missing"), [])


class IssuerTest(unittest.TestCase):
    """Both authorities are cross-signed by the admission CA, so TLS accepts either; the provider has registered one of them
    for the tenant, and only above TLS can it see which one signed."""

    def test_a_certificate_of_an_authority_that_is_not_the_tenants_is_refused_above_tls(self):
        with Stack("issuer") as stack:
            pki = Pki(stack)
            twin = pki.second_authority(ACME)
            backend = product.start_backend(stack, pki)
            impostor = twin.leaf(ACME, "app", "impostor")
            accepted = s_client(backend.address, pki.provider_roots, impostor)
            self.assertTrue(accepted.accepted, f"TLS itself must accept it, or this test shows nothing: {accepted}")
            app = App(stack, pki, ACME, "owner", backend)
            app.leaf = impostor
            mark = backend.process.log.mark()
            gateway = product.start_gateway(stack, pki, ACME, "hall", backend, "--label-out", stack.path("hall.label"))
            wait_until(lambda: os.path.exists(stack.path("hall.label")), "the label")
            _, result = app.pair([stack.path("hall.label")], wait=2, check=False)
            self.assertEqual(result.returncode, 1)
            found = backend.process.wait_for("security", lambda e: e["kind"] == "issuer_mismatch", start=mark)
            self.assertEqual(found["peer"], impostor.spiffe)
            self.assertNotIn("issuer", result.stderr, "a stranger is told no more than that it may not")
            rightful = App(stack, pki, ACME, "rightful", backend)
            rightful.pair([stack.path("hall.label")])
            self.assertEqual(gateway.process.terminate(), 0)
            shutil.rmtree(twin.folder)


if __name__ == "__main__":
    unittest.main()
