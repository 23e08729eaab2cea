#!/usr/bin/env python3
"""Starting and stopping of each program: --help, a graceful end on SIGTERM, and errors of one line that say what is wrong,
with what, and what to do about it, and that leave nothing half-written."""

import hashlib
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import unittest

import product
from harness import Stack, bin_dir
from home import Home
from product import ACME, LISTEN, Pki
from tls_test import iso

# What somebody is told to do, after the colon or the comma behind what is wrong.
REMEDY = re.compile(r"[:;,(] ?(or )?(another|begin|check|choose|chmod|chown|correct|delete|end|give|have|install|issue|make|move|name|pair|put|renew|replace|"
                    r"reset|restore|run|set|start|stop|try|update|use|wait)\b")

PROGRAMS = ["keystead-backend", "keystead-gateway", "keystead-device-sim", "keystead-mobile-stub", "keystead-infra-sim", "keystead-admin"]


class HelpTest(unittest.TestCase):
    def test_each_program_explains_itself(self):
        for program in PROGRAMS:
            with self.subTest(program=program):
                result = subprocess.run([bin_dir() / program, "--help"], capture_output=True, text=True, timeout=20,
                                        stdin=subprocess.DEVNULL, check=False)
                self.assertEqual(result.returncode, 0, result.stderr)
                for word in ("Usage", "--config", "--log-file", "--tls-chain" if "infra" not in program else "--balancer"):
                    self.assertIn(word, result.stdout)

    def test_an_unknown_option_is_one_line_and_exit_code_2(self):
        for program in PROGRAMS:
            with self.subTest(program=program):
                result = subprocess.run([bin_dir() / program, "--no-such-option"], capture_output=True, text=True,
                                        timeout=20, stdin=subprocess.DEVNULL, check=False)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)


    def test_a_balancer_that_is_no_network_is_one_line_and_exit_code_2(self):
        for program in ("keystead-backend", "keystead-gateway"):
            for network, words in (("10.0.0.7/8", "10.0.0.0/8"), ("balancer.example", "192.0.2.0/24")):
                with self.subTest(program=program, network=network):
                    result = subprocess.run([bin_dir() / program, "--trusted-balancers", network], capture_output=True, text=True,
                                            timeout=20, stdin=subprocess.DEVNULL, check=False)
                    self.assertEqual(result.returncode, 2)
                    self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
                    self.assertIn(network, result.stderr)
                    self.assertIn(words, result.stderr)


class ServerStartTest(unittest.TestCase):
    """The programs that listen: `arguments(listen, leaf, store)` says how each is started."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("startup")
        cls.addClassCleanup(cls.stack.close)
        cls.pki = pki = Pki(cls.stack)
        cls.hop = product.start_backend(cls.stack, pki, "next-hop")
        cls.serial = 0
        name = pki.leaf(ACME, "gateway", "hall", "--server")
        # program → (good leaf, an expired one, arguments, whether it has a store of its own)
        cls.servers = {
            "keystead-backend": (pki.backend, pki.provider_leaf("old", "--not-before", iso(-48), "--not-after", iso(-1)),
                                 cls.backend, True),
            "keystead-gateway": (name, pki.leaf(ACME, "gateway", "old", "--server", "--not-before", iso(-48),
                                                "--not-after", iso(-1)), cls.gateway, True),
            "keystead-infra-sim": (name, pki.leaf(ACME, "gateway", "other", "--server"), cls.infra, False),
        }

    @classmethod
    def backend(cls, listen, leaf, store):
        return ["--listen", listen, "--data", store, "--tenants", cls.pki.tenants, *leaf.options(cls.pki.admission)]

    @classmethod
    def gateway(cls, listen, leaf, store):
        return product.gateway_arguments(cls.pki, ACME, leaf, cls.hop, store, listen)

    @classmethod
    def infra(cls, listen, leaf, store):
        upstream = cls.pki.leaf(ACME, "gateway", "front")
        return [*product.Balancer("front", leaf, cls.pki.admission, {ACME: (upstream, cls.hop)}).options(listen), "--tenants",
                cls.pki.tenants, "--control-listen", listen, *leaf.options(cls.pki.roots(ACME), "control-")]

    def fresh(self, name):
        type(self).serial += 1
        return f"{name}-{self.serial}"

    def each_server(self, only_stores=False):
        for program, (leaf, expired, arguments, has_store) in self.servers.items():
            if has_store or not only_stores:
                yield program, leaf, expired, arguments, self.stack.path(self.fresh(program))

    def fails(self, program, arguments, *words, remedy=True):
        """Exit code 1 and one line with all these words; no ports are announced."""
        process = self.stack.start(self.fresh(program), program, *arguments, ready=False)
        self.assertEqual(process.wait(), 1, process.tail())
        lines = process.error_text().splitlines()
        self.assertEqual(len(lines), 1, process.error_text())
        for word in words:
            self.assertIn(word, lines[0])
        if remedy:
            self.assertRegex(lines[0], REMEDY, "it does not say what to do")
        self.assertFalse(os.path.exists(process._ports_file), "ports were announced")
        return lines[0]

    def starts(self, program, arguments):
        process = self.stack.start(self.fresh(program), program, *arguments)
        self.assertEqual(process.terminate(), 0, process.tail())
        return process

    def test_sigterm_ends_it_gracefully(self):
        for program, leaf, _, arguments, store in self.each_server():
            with self.subTest(program=program):
                process = self.starts(program, arguments(LISTEN, leaf, store))
                self.assertEqual(process.error_text(), "")

    def test_port_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for program, leaf, _, arguments, store in self.each_server():
                with self.subTest(program=program):
                    self.fails(program, arguments(address, leaf, store), address, "taken", remedy=False)
                    self.starts(program, arguments(LISTEN, leaf, store))

    def test_certificate_missing_expired_or_of_another_key(self):
        for program, leaf, expired, arguments, store in self.each_server():
            with self.subTest(program=program):
                nowhere = product.Leaf(self.stack.path("nowhere"), leaf.spiffe)
                self.fails(program, arguments(LISTEN, nowhere, store), nowhere.chain, remedy=False)
                self.assertFalse(left_in(store), "a start without a certificate left something")
                mixed = product.Leaf(os.path.dirname(leaf.chain), leaf.spiffe)
                mixed.key = expired.key
                self.fails(program, arguments(LISTEN, mixed, store), mixed.chain, "match", remedy=False)
                if program != "keystead-infra-sim":  # its other leaf is a good one: it lends only its key
                    self.fails(program, arguments(LISTEN, expired, store), expired.chain, "expired", remedy=False)
                self.starts(program, arguments(LISTEN, leaf, store))

    def test_store_locked(self):
        for program, leaf, _, arguments, store in self.each_server(only_stores=True):
            with self.subTest(program=program):
                holder = self.stack.start(self.fresh(program), program, *arguments(LISTEN, leaf, store))
                self.fails(program, arguments(LISTEN, leaf, store), store)
                self.assertEqual(holder.terminate(), 0, holder.tail())
                self.starts(program, arguments(LISTEN, leaf, store))

    def test_store_corrupt(self):
        for program, leaf, _, arguments, store in self.each_server(only_stores=True):
            with self.subTest(program=program):
                self.starts(program, arguments(LISTEN, leaf, store))
                current = next(path for path in pathlib.Path(store).rglob("CURRENT"))
                good = current.read_bytes()
                current.write_bytes(b"MANIFEST-999999\n")
                self.fails(program, arguments(LISTEN, leaf, store), str(current.parent))
                current.write_bytes(good)
                self.starts(program, arguments(LISTEN, leaf, store))

    def test_store_of_another_format_version(self):
        for program, leaf, _, arguments, store in self.each_server(only_stores=True):
            with self.subTest(program=program):
                self.starts(program, arguments(LISTEN, leaf, store))
                log = raise_format_version(store, program.encode())
                line = self.fails(program, arguments(LISTEN, leaf, store), "format")
                self.assertIn(str(log.parent), line)

    def test_store_of_another_program(self):
        backend_leaf, _, backend, _ = self.servers["keystead-backend"]
        gateway_leaf, _, gateway, _ = self.servers["keystead-gateway"]
        store = self.stack.path(self.fresh("foreign"))
        self.starts("keystead-gateway", gateway(LISTEN, gateway_leaf, store))
        folder = next(path for path in pathlib.Path(store).rglob("CURRENT")).parent
        self.fails("keystead-backend", backend(LISTEN, backend_leaf, str(folder)), "keystead-gateway")


def left_in(folder):
    """What is in a folder, by content: {} also when it is not there."""
    root = pathlib.Path(folder)
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*")) if path.is_file()}


class ClientStartTest(unittest.TestCase):
    """The programs that do not listen, device and phone, on copies of folders in which they have joined."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("startup-clients")
        cls.addClassCleanup(cls.stack.close)
        cls.pki = pki = Pki(cls.stack)
        cls.backend = product.start_backend(cls.stack, pki)
        cls.home = Home(cls.stack, pki, ACME, "acme", cls.backend)
        cls.home.found()
        lamp = cls.home.add_device("lamp", "lightbulb", "--interval", "0.2")
        cls.home.pair_devices()
        lamp.process.wait_for("connected")
        product.expect(lamp.process.terminate() == 0, lamp.process.tail())
        cls.serial = 0
        old = ("--not-before", iso(-48), "--not-after", iso(-1))
        cls.clients = {  # program → (good leaf, an expired one, folder to copy, arguments)
            "keystead-device-sim": (pki.leaf(ACME, "device", "lamp"), pki.leaf(ACME, "device", "old", *old),
                                    cls.stack.path("lamp-state"), cls.device),
            "keystead-mobile-stub": (cls.home.app.leaf, pki.leaf(ACME, "app", "old", *old), cls.home.app.state, cls.phone),
        }

    @classmethod
    def device(cls, leaf, state):
        hop = cls.home.gateway
        return ["--state", state, "--id", "lamp", "--kind", "lightbulb", "--interval", "0.2", "--tls-chain", leaf.chain,
                "--tls-key", leaf.key, "--next-hop", hop.address, "--next-hop-id", hop.spiffe, "--roots", hop.roots]

    @classmethod
    def phone(cls, leaf, state):
        hop = cls.backend
        return ["--state", state, "--next-hop", hop.address, "--next-hop-id", hop.spiffe, *leaf.options(hop.roots), "watch"]

    def each_client(self):
        for program, (leaf, expired, template, arguments) in self.clients.items():
            type(self).serial += 1
            state = self.stack.path(f"{program}-{self.serial}")
            shutil.copytree(template, state)
            os.chmod(state, 0o700)
            yield program, leaf, expired, arguments, state

    def start(self, program, arguments):
        type(self).serial += 1
        return self.stack.start(f"{program}-run-{self.serial}", program, *arguments, ports=False)

    def fails(self, program, arguments, *words, remedy=True):
        process = self.start(program, arguments)
        self.assertEqual(process.wait(), 1, process.tail())
        lines = process.error_text().splitlines()
        self.assertEqual(len(lines), 1, process.error_text())
        for word in words:
            self.assertIn(word, lines[0])
        if remedy:
            self.assertRegex(lines[0], REMEDY, "it does not say what to do")
        return lines[0]

    def starts(self, program, arguments):
        """It does its work, and ends by itself, with 0, on SIGTERM."""
        process = self.start(program, arguments)
        if program == "keystead-device-sim":
            process.wait_for("connected")
        else:
            product.harness.wait_until(process.output.read_text, lambda: f"{program} to show something\n{process.tail()}")
        self.assertEqual(process.terminate(), 0, process.tail())
        self.assertEqual(process.error_text(), "")

    def test_sigterm_ends_it_gracefully(self):
        for program, leaf, _, arguments, state in self.each_client():
            with self.subTest(program=program):
                self.starts(program, arguments(leaf, state))

    def test_certificate_missing_expired_or_of_another_key(self):
        for program, leaf, expired, arguments, state in self.each_client():
            with self.subTest(program=program):
                before = left_in(state)
                nowhere = product.Leaf(self.stack.path("nowhere"), leaf.spiffe)
                self.fails(program, arguments(nowhere, state), nowhere.chain, remedy=False)
                mixed = product.Leaf(os.path.dirname(leaf.chain), leaf.spiffe)
                mixed.key = expired.key
                self.fails(program, arguments(mixed, state), mixed.chain, "match", remedy=False)
                self.fails(program, arguments(expired, state), expired.chain, "expired", remedy=False)
                self.assertEqual(self.kept(left_in(state)), self.kept(before), "a start that failed changed the folder")
                self.starts(program, arguments(leaf, state))

    @staticmethod
    def kept(files):
        """Without the locks and without what a store writes about itself whenever it is opened."""
        own = re.compile(r"(^|/)(LOG|LOCK|MANIFEST|CURRENT|OPTIONS|[0-9]+\.(log|sst)|[^/]*\.lock)")
        return {name: digest for name, digest in files.items() if not own.search(name)}

    def test_state_locked(self):
        program = "keystead-device-sim"  # a phone's folder may be used by several processes at a time
        leaf, _, template, arguments = self.clients[program]
        state = self.stack.path("locked")
        shutil.copytree(template, state)
        holder = self.start(program, arguments(leaf, state))
        holder.wait_for("connected")
        self.fails(program, arguments(leaf, state), state)
        self.assertEqual(holder.terminate(), 0, holder.tail())
        self.starts(program, arguments(leaf, state))

    @staticmethod
    def damage(state, edit):
        """Edits the file that holds the member's keys; its path and what it was."""
        path = next(path for path in sorted(pathlib.Path(state).iterdir()) if path.name.split(".")[-1] == "member")
        good = path.read_bytes()
        path.write_bytes(edit(good))
        return path, good

    def test_state_corrupt(self):
        for program, leaf, _, arguments, state in self.each_client():
            with self.subTest(program=program):
                path, good = self.damage(state, lambda data: data[:-7])
                self.fails(program, arguments(leaf, state), str(path), "damaged")
                path.write_bytes(good)
                self.starts(program, arguments(leaf, state))

    def test_state_of_another_format_version(self):
        for program, leaf, _, arguments, state in self.each_client():
            with self.subTest(program=program):
                if program == "keystead-device-sim":
                    changed = raise_format_version(state, program.encode()).parent
                else:
                    changed, _ = self.damage(state, lambda data: data[:1] + b"\x17" + data[2:])  # CBOR [1, …] becomes [23, …]
                self.fails(program, arguments(leaf, state), str(changed), "format")

    def test_the_phone_of_nobody_says_what_to_do_first(self):
        leaf = self.clients["keystead-mobile-stub"][0]
        state = self.stack.path("fresh-phone")
        self.fails("keystead-mobile-stub", self.phone(leaf, state), "pair")
        self.assertEqual(left_in(state), {}, "a phone that could do nothing wrote something")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def raise_format_version(store, name):
    """Edits the store's write-ahead log: the row "format version, program name" gets version 99 and a right checksum.

    A log record is crc32c (masked, 4 bytes), length (2), type (1), payload; the checksum covers type and payload."""
    for log in pathlib.Path(store).rglob("*.log"):
        data = bytearray(log.read_bytes())
        at = 0
        while at + 7 <= len(data):
            length, kind = struct.unpack_from("<HB", data, at + 4)
            payload = slice(at + 7, at + 7 + length)
            place = bytes(data[payload]).find(name)
            if place >= 4 and kind == 1:
                data[at + 7 + place - 1] = 99
                crc = crc32c(bytes([kind]) + bytes(data[payload]))
                masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
                struct.pack_into("<I", data, at, masked)
                log.write_bytes(data)
                return log
            at += 7 + length
    raise AssertionError(f"no format row in the write-ahead log below {store}")


if __name__ == "__main__":
    unittest.main()
