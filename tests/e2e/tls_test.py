#!/usr/bin/env python3
"""Every gRPC port of the running programs: mutual TLS 1.3 and nothing less, as openssl's own client sees it."""

import datetime
import os
import unittest

import product
from harness import Stack, wait_until
from product import ACME, GLOBEX, Balancer, Infra, Pki, expect
from tls_client import Forger, s_client


def iso(hours):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class TlsTest(unittest.TestCase):
    """One attribute per kind of bad certificate; each port meets all of them, and a good one before and after."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("tls")
        cls.addClassCleanup(cls.stack.close)
        cls.stack.env["GRPC_VERBOSITY"] = "ERROR"  # why a handshake failed stands in gRPC's own log, which is off otherwise
        cls.pki = pki = Pki(cls.stack)
        cls.ports = {}  # name → (process, address, roots to verify it with)
        backend = product.start_backend(cls.stack, pki)
        cls.ports["backend"] = (backend.process, backend.address, pki.provider_roots)
        gateway = product.start_gateway(cls.stack, pki, ACME, "hall", backend)
        cls.ports["gateway"] = (gateway.process, gateway.address, pki.roots(ACME))
        courier = pki.leaf(ACME, "gateway", "front")
        infra = Infra(cls.stack, pki, "infra", [Balancer("front", pki.provider_leaf("front"), pki.admission,
                                                         {ACME: (courier, backend)})])
        cls.ports["balancer"] = (infra.process, infra.process.address("front"), pki.provider_roots)
        cls.ports["infra-control"] = (infra.process, infra.process.address("control"), pki.roots(ACME))

        cls.good = pki.leaf(ACME, "admin", "good")
        expired = pki.leaf(ACME, "admin", "expired", "--not-before", iso(-48), "--not-after", iso(-1))
        early = pki.leaf(ACME, "admin", "early", "--not-before", iso(24), "--not-after", iso(48))
        forger = Forger(cls.stack)
        name = f"spiffe://{ACME}/admin/good"
        globex = os.path.join(pki.tenants, GLOBEX)
        strangers = Pki(cls.stack, [ACME], "strangers")
        cls.bad = {
            "expired": expired,
            "not yet valid": early,
            "self-signed": forger.self_signed("self", name),
            "issued by another provider's world": strangers.leaf(ACME, "admin", "good"),
            "issued by globex, naming acme": forger.issued_by("foreign", name, globex + "/ca.pem", globex + "/ca.key",
                                                              [globex + "/cross.pem"]),
            "issued by a device": cls._issued_by_device(pki),
        }

    @classmethod
    def _issued_by_device(cls, pki):
        device = pki.leaf(ACME, "device", "not-a-ca")
        return Forger(cls.stack, "by-leaf").issued_by("leaf", f"spiffe://{ACME}/admin/good", device.chain, device.key,
                                                      [device.chain])

    def each_port(self):
        for name, port in self.ports.items():
            yield name, *port

    def refused(self, process, address, roots, leaf, reason, options=("-tls1_3",)):
        """Refused in the handshake, and the server itself names this reason."""
        before = len(process.error_text())
        outcome = s_client(address, roots, leaf, options)
        self.assertFalse(outcome.accepted, outcome)
        wait_until(lambda: reason in process.error_text()[before:],
                   lambda: f"'{reason}' among the server's reasons:\n{process.error_text()[before:]}\n{outcome}", 5)

    def test_a_good_certificate_is_accepted_and_gets_no_session_ticket(self):
        for name, _, address, roots in self.each_port():
            with self.subTest(port=name):
                outcome = s_client(address, roots, self.good)
                expect(outcome.accepted, f"the good certificate was refused: {outcome}")
                self.assertEqual(outcome.tickets, 0, f"session tickets were issued: {outcome}")
                self.assertIn(b"Verify return code: 0 (ok)", outcome.output)

    def test_tls_1_2_is_refused(self):
        for name, process, address, roots in self.each_port():
            with self.subTest(port=name):
                self.refused(process, address, roots, self.good, "unsupported protocol", ["-tls1_2"])

    def test_no_certificate_is_refused(self):
        for name, process, address, roots in self.each_port():
            with self.subTest(port=name):
                self.refused(process, address, roots, None, "peer did not return a certificate")

    def test_bad_certificates_are_refused_and_a_good_one_still_accepted(self):
        for name, process, address, roots in self.each_port():
            with self.subTest(port=name):
                for kind, leaf in self.bad.items():
                    with self.subTest(certificate=kind):
                        self.refused(process, address, roots, leaf, "certificate verify failed")
                expect(s_client(address, roots, self.good).accepted, "the good certificate is refused afterwards")


if __name__ == "__main__":
    unittest.main()
