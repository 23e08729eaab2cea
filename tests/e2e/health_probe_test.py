#!/usr/bin/env python3
"""keystead-health-probe: what it says of servers that serve, of those that are not there, and of wrong questions."""

import socket
import unittest

import product
from harness import Stack
from product import ACME, Pki


class HealthProbeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("health-probe")
        cls.addClassCleanup(cls.stack.close)
        cls.pki = Pki(cls.stack)
        cls.backend = product.start_backend(cls.stack, cls.pki)
        cls.gateway = product.start_gateway(cls.stack, cls.pki, ACME, "hall", cls.backend)
        cls.leaf = cls.pki.leaf(ACME, "service", "health")

    def probe(self, hop, *more, leaf=None, address=None, server=None, dashes="--"):
        leaf = leaf or self.leaf
        options = {"addr": address or hop.address, "tls-ca-cert": hop.roots, "tls-client-cert": leaf.chain, "tls-client-key": leaf.key,
                   "tls-server-name": server or hop.spiffe}
        words = [f"{dashes}tls", *(f"{dashes}{name}={value}" for name, value in options.items()), *more]
        return self.stack.run("keystead-health-probe", *words, check=False)

    def expect(self, code, result, said):
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(said, result.stdout + result.stderr)

    def test_says_that_backend_and_gateway_serve(self):
        for hop in (self.backend, self.gateway):
            self.expect(0, self.probe(hop), "serves")

    def test_understands_options_with_one_dash_and_times_as_grpc_health_probe_does(self):
        self.expect(0, self.probe(self.backend, "-connect-timeout=5s", "-rpc-timeout", "5000ms", dashes="-"), "serves")

    def test_meets_nobody_but_whom_it_was_told(self):
        self.expect(2, self.probe(self.backend, server="spiffe://provider-one.example/service/another"), "no connection")
        self.expect(2, self.probe(self.gateway, server=self.backend.spiffe), "no connection")

    def test_says_where_nobody_listens(self):
        with socket.socket() as free:  # bound and not listening
            free.bind(("127.0.0.1", 0))
            self.expect(2, self.probe(self.backend, address=f"127.0.0.1:{free.getsockname()[1]}"), "no connection")

    def test_says_that_it_was_refused(self):
        stranger = Pki(self.stack, [ACME], "strangers").leaf(ACME, "service", "health")
        self.assertIn(self.probe(self.backend, leaf=stranger).returncode, (2, 3))
        factory = self.pki.factory(ACME, "device", "lamp")  # good for enrolling and for nothing else
        self.expect(3, self.probe(self.backend, leaf=factory), "PERMISSION_DENIED")

    def test_says_that_there_is_no_such_service(self):
        self.expect(3, self.probe(self.backend, "--service", "keystead.v1.Nothing"), "NOT_FOUND")

    def test_wrong_questions_are_told_apart_from_sick_servers(self):
        self.expect(1, self.probe(self.backend, "--connect-timeout", "soon"), "--connect-timeout is a time")
        self.expect(1, self.probe(self.backend, server="backend"), "spiffe://")
        self.expect(1, self.stack.run("keystead-health-probe", "--addr", self.backend.address, check=False), "give --tls")


if __name__ == "__main__":
    unittest.main()
