#!/usr/bin/env python3
"""keystead-load with servers that were there before it, that go away, and that it starts one after the other."""

import json
import pathlib
import unittest

import product
from harness import wait_until
from load import SHORT, LoadCase
from product import ACME, GLOBEX, Pki


class LoadServerTest(LoadCase):
    def test_the_sweep_spreads_the_same_connections(self):
        report = self.load("--self", "--quick", "--behaviour", "none", "--sweep-tenants", "1,4", "--sweep-connections", "8",
                           *SHORT, "--devices", "1")
        rows = report["sweep"]["rows"]
        self.assertEqual([(row["tenants"], row["connections"]) for row in rows], [(1, 8), (4, 8)])
        for row in rows:
            self.assert_sums(row["records"])
            self.assertEqual(row["records"]["lost"], 0)
            self.assertGreater(row["records_per_second"], 0)
            self.assertGreater(row["server_cpu_us_per_record"], 0)

    def test_a_server_that_is_there_already(self):
        pki = Pki(self.stack)
        for tenant in (ACME, GLOBEX):
            pki.leaf(tenant, "app", "phone")
            pki.leaves(tenant, "device", "d-", 2)
        hop = product.start_backend(self.stack, pki)
        arguments = ["--target", hop.address, "--target-id", hop.spiffe, "--roots", hop.roots, "--credentials", pki.folder,
                     *SHORT, "--tenants", "2", "--devices", "2", "--behaviour", "rate10"]
        report = self.load(*arguments)
        self.assertFalse(report["connections"]["verified"], "this backend has not been told of operators")
        self.assertRegex(report["connections"]["not_verified_because"], "PERMISSION_DENIED|UNAUTHENTICATED")
        self.assert_whole(report["episodes"][0]["records"])

        for option, value, words in (("--devices", "3", "2 devices, not 3"), ("--tenants", "3", "2 tenants with apps, not 3"),
                                     ("--target-id", "spiffe://provider-one.example/service/other", "cannot found")):
            with self.subTest(option=option):
                change = list(arguments)
                change[change.index(option) + 1] = value
                result = self.load(*change, "--quiet", code=(1,))
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
                self.assertRegex(result.stderr, words)

    def test_a_server_that_goes_away_is_said_and_what_it_took_along_is_counted(self):
        pki = Pki(self.stack, name="pki-2")
        pki.leaf(ACME, "app", "phone")
        pki.leaves(ACME, "device", "d-", 2)
        hop = product.start_backend(self.stack, pki, "mortal")
        report = self.stack.path("mortal.json")
        run = self.stack.start("load-mortal", "keystead-load", "--target", hop.address, "--target-id", hop.spiffe, "--roots",
                               hop.roots, "--credentials", pki.folder, *SHORT, "--tenants", "1", "--devices", "2",
                               "--json", report, ports=False)
        wait_until(lambda: "alone" in run.output.read_text(), "the phase alone")
        hop.process.kill()
        run.wait(patience=60)
        episode, = json.loads(pathlib.Path(report).read_text())["episodes"]
        self.assert_sums(episode["records"])
        self.assertGreater(episode["records"]["lost"] + episode["records"]["unsent"], 0)
        self.assertFalse(all(aim["met"] for aim in episode["aims"]))


if __name__ == "__main__":
    unittest.main()
