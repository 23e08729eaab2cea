#!/usr/bin/env python3
"""`serve` as a program: where it listens, where its address goes, and how it ends. What it shows: tests/console."""

import json
import os
import pathlib
import stat
import unittest
import urllib.error
import urllib.request

import product
import prometheus
from harness import Stack, wait_until
from home import Home
from product import ACME, Pki


class ServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("serve")
        cls.addClassCleanup(cls.stack.close)
        cls.pki = Pki(cls.stack)
        cls.backend = product.start_backend(cls.stack, cls.pki)
        cls.home = Home(cls.stack, cls.pki, ACME, "acme", cls.backend)
        cls.home.found()

    def serve(self, name, *options):
        return self.stack.start(name, "keystead-mobile-stub", *self.home.app.arguments(), "serve", "--no-events", *options)

    def refused(self, *options):
        result = self.stack.run("keystead-mobile-stub", *self.home.app.arguments(), "--quiet", "serve", *options, check=False)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        return result.stderr

    def said(self, process):
        return [json.loads(line) for line in process.output.read_text(encoding="utf-8").splitlines()]

    def status(self, port, token, host=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/home", headers={"Authorization": f"Bearer {token}"})
        if host is not None:
            request.add_header("Host", host)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def test_it_listens_on_loopback_alone_unless_told_what_that_gives_away(self):
        for listen in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
            self.assertIn("--reachable-by-others-without-tls", self.refused("--listen", listen))
        for listen in ("not a name:0", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ""):
            self.assertIn("--listen", self.refused("--listen", listen))
        process = self.serve("everywhere", "--listen", "0.0.0.0:0", "--reachable-by-others-without-tls", "--public-address",
                             "127.0.0.1:18080")
        url = self.said(process)[0]["url"]
        self.assertTrue(url.startswith("http://127.0.0.1:18080/#token="), url)
        self.assertEqual(process.terminate(), 0)

    def test_its_address_opens_it_and_nothing_else_does(self):
        process = self.serve("printed")
        serving = self.said(process)[0]
        self.assertEqual(serving["event"], "serving")
        self.assertEqual(serving["port"], process.port("console"))
        token = serving["url"].split("#token=")[1]
        self.assertEqual(self.status(serving["port"], token), 200)
        self.assertEqual(self.status(serving["port"], "0" * 64), 401)
        self.assertEqual(self.status(serving["port"], token, host="evil.example"), 421)
        self.assertEqual(process.terminate(), 0)
        self.assertNotIn(token, process.log.path.read_text(encoding="utf-8"))

    def test_the_address_goes_into_a_file_for_its_owner_instead(self):
        path = self.stack.path("address")
        process = self.serve("into-a-file", "--url-out", path)
        url = pathlib.Path(path).read_text(encoding="utf-8").strip()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        token = url.split("#token=")[1]
        self.assertNotIn(token, process.output.read_text(encoding="utf-8"))
        self.assertEqual(self.status(process.port("console"), token), 200)
        self.assertEqual(process.terminate(), 0)

    def test_a_token_in_a_file_outlives_the_console(self):
        path = self.stack.path("token")
        process = self.serve("kept", "--token-file", path)
        token = pathlib.Path(path).read_text(encoding="utf-8").strip()
        self.assertEqual(self.status(process.port("console"), token), 200)
        self.assertEqual(process.terminate(), 0)
        process.relaunch()
        self.assertEqual(self.status(process.port("console"), token), 200)
        self.assertEqual(process.terminate(), 0)
        os.chmod(path, 0o644)
        result = self.stack.run("keystead-mobile-stub", *self.home.app.arguments(), "--quiet", "serve", "--token-file", path, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("others may read", result.stderr)

    def test_with_events_it_says_what_watch_says(self):
        process = self.stack.start("eventful", "keystead-mobile-stub", *self.home.app.arguments(), "serve")
        wait_until(lambda: {"serving", "membership"} <= {line["event"] for line in self.said(process)}, "address and home")
        [serving] = [line for line in self.said(process) if line["event"] == "serving"]
        self.assertEqual(self.status(serving["port"], serving["url"].split("#token=")[1]), 200)
        self.assertEqual(process.terminate(), 0)

    def test_it_is_measured_as_watch_is(self):
        """One app, whichever verb of it goes on: the same metrics, the time that its certificate has left among them."""
        measured = ("--metrics-listen", "127.0.0.1:0")
        processes = [self.serve("measured", *measured),
                     self.stack.start("measured-watch", "keystead-mobile-stub", *self.home.app.arguments(), "watch", *measured)]

        def families(process):
            return prometheus.parse(prometheus.get(f"http://{process.address('metrics')}/metrics"))

        wait_until(lambda: set(families(processes[0])) == set(families(processes[1])),
                   lambda: f"the same metrics: {set(families(processes[0])) ^ set(families(processes[1]))}")
        for process in processes:
            [(labels, left)] = families(process)["keystead_certificate_remaining_seconds"]["samples"]
            self.assertIn('use="own"', labels)
            self.assertGreater(left, 3600)
            self.assertEqual(process.terminate(), 0)

    def test_a_taken_port_is_said(self):
        process = self.serve("first")
        result = self.stack.run("keystead-mobile-stub", *self.home.app.arguments(), "--quiet", "serve", "--listen",
                                process.address("console"), check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("--listen", result.stderr)
        self.assertEqual(process.terminate(), 0)

    def test_its_end_while_a_device_is_awaited_is_that_of_a_verb(self):
        device = self.home.start_device("absent", "temperature")
        label = pathlib.Path(device.wait_label()).read_text(encoding="ascii")
        device.process.kill()
        process = self.serve("interrupted")
        serving = self.said(process)[0]
        token = serving["url"].split("#token=")[1]
        request = urllib.request.Request(f"http://127.0.0.1:{serving['port']}/api/v1/pairings", data=label.encode(), method="POST",
                                         headers={"Authorization": f"Bearer {token}", "Content-Type": "text/plain"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertEqual(answer.status, 202)
        self.assertEqual(process.terminate(patience=20), 1)
        wait_until(lambda: "stopped by a signal" in process.error_text(), "what the end means")
        self.assertEqual(self.home.app.call("members")[0]["event"], "members")  # the folder is whole


if __name__ == "__main__":
    unittest.main()
