#!/usr/bin/env python3
"""Starting and stopping of each program: --help, a graceful end on SIGTERM, and errors of one line that leave nothing."""

import os
import pathlib
import socket
import struct
import subprocess
import unittest

import product
from harness import Stack, bin_dir
from product import ACME, LISTEN, Pki
from tls_test import iso

PROGRAMS = ["keystead-backend", "keystead-gateway", "keystead-device-sim", "keystead-mobile-stub", "keystead-infra-sim"]


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
        return [*product.Balancer("front", leaf, cls.pki.admission, {ACME: (upstream, cls.hop)}).options(), "--tenants",
                cls.pki.tenants, "--control-listen", listen, *leaf.options(cls.pki.roots(ACME), "control-")]

    def fresh(self, name):
        type(self).serial += 1
        return f"{name}-{self.serial}"

    def each_server(self, only_stores=False):
        for program, (leaf, expired, arguments, has_store) in self.servers.items():
            if has_store or not only_stores:
                yield program, leaf, expired, arguments, self.stack.path(self.fresh(program))

    def fails(self, program, arguments, *words):
        """Exit code 1 and one line with all these words; no ports are announced."""
        process = self.stack.start(self.fresh(program), program, *arguments, ready=False)
        self.assertEqual(process.wait(), 1, process.tail())
        lines = process.error_text().splitlines()
        self.assertEqual(len(lines), 1, process.error_text())
        for word in words:
            self.assertIn(word, lines[0])
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
                    self.fails(program, arguments(address, leaf, store), address, "taken")
                    self.starts(program, arguments(LISTEN, leaf, store))

    def test_certificate_missing_expired_or_of_another_key(self):
        for program, leaf, expired, arguments, store in self.each_server():
            with self.subTest(program=program):
                nowhere = product.Leaf(self.stack.path("nowhere"), leaf.spiffe)
                self.fails(program, arguments(LISTEN, nowhere, store), nowhere.chain)
                mixed = product.Leaf(os.path.dirname(leaf.chain), leaf.spiffe)
                mixed.key = expired.key
                self.fails(program, arguments(LISTEN, mixed, store), "match")
                if program != "keystead-infra-sim":  # its other leaf is a good one: it lends only its key
                    self.fails(program, arguments(LISTEN, expired, store), expired.chain, "expired")
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
