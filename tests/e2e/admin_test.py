#!/usr/bin/env python3
"""keystead-admin against a running backend: tenants that come at run time, limits that a device obeys, usage that adds up, and
administrators who see their own tenant only."""

import json
import os
import pathlib
import stat
import unittest

import product
from harness import ROOT, Stack, wait_until
from home import Home
from product import ACME, GLOBEX, PROVIDER, Leaf, Pki

INITECH = "initech.keystead.example"
HOOLI = "hooli.keystead.example"
PIED = "pied.keystead.example"
AVIATO = "aviato.keystead.example"


class AdminTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("admin")
        cls.addClassCleanup(cls.stack.close)
        cls.pki = Pki(cls.stack)
        cls.backend = product.start_backend(cls.stack, cls.pki, "backend", "--provider", f"{PROVIDER}={cls.pki.provider_roots}",
                                            "--audit-chain", cls.audit("chain.pem"), "--audit-key", cls.audit("key.pem"))
        cls.operator = Leaf(os.path.join(cls.pki.folder, "provider", "operator", "ops"), f"spiffe://{PROVIDER}/operator/ops")
        cls.alice = cls.pki.leaf(ACME, "admin", "alice")

    @classmethod
    def audit(cls, name):
        return os.path.join(cls.pki.folder, "provider", "audit", name)

    def admin(self, *words, leaf=None, check=True):
        """One run of the program, as a person would."""
        leaf = leaf or self.operator
        return self.stack.run("keystead-admin", *words, "--backend", self.backend.address, "--backend-id",
                              f"spiffe://{PROVIDER}/service/*", *leaf.options(self.backend.roots), check=check)

    def ask(self, *words, leaf=None):
        return json.loads(self.admin(*words, "--json", leaf=leaf).stdout)

    def refused(self, *words, leaf=None, code=1):
        """The one line that says why."""
        result = self.admin(*words, leaf=leaf, check=False)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        self.assertEqual(result.stdout, "")
        return result.stderr

    def test_a_tenant_that_is_created_is_let_in_at_once(self):
        self.stack.run(ROOT / "certs/make-pki", "--out", self.pki.folder, "--provider", PROVIDER, "--tenant", INITECH,
                       env={"KEYSTEAD_ISSUE": str(self.stack.bins / "keystead-issue")})
        early = self.pki.leaf(INITECH, "admin", "early")
        self.assertIn("does not know who this is", self.refused("list", leaf=early))
        self.assertNotIn(INITECH, self.ask("list")["tenants"])

        self.assertIn("ca.pem", self.refused("create", INITECH, "--ca", self.stack.path("absent.pem")))
        junk = pathlib.Path(self.stack.path("junk.pem"))
        junk.write_text("no certificate\n", encoding="ascii")
        self.assertIn("does not take", self.refused("create", INITECH, "--ca", junk))
        created = self.ask("create", INITECH, "--ca", self.pki.roots(INITECH), "--set", "records_per_second=100", "stored_bytes=1MiB")
        self.assertEqual(created, {"created": INITECH})
        self.assertLessEqual({ACME, GLOBEX, INITECH}, set(self.ask("list")["tenants"]))
        limits = self.ask("limits", INITECH)
        self.assertEqual((limits["records_per_second"], limits["stored_bytes"], limits["streams"]), (100, 1 << 20, 0))
        self.assertIn("other CA keys", self.refused("create", INITECH, "--ca", self.pki.roots(ACME)))

        home = Home(self.stack, self.pki, INITECH, "initech", self.backend)
        home.found()
        home.add_device("thermo", "temperature", "--interval", "0.1", hop=self.backend)
        home.pair_devices()
        home.app.watch().wait_readings("thermo", 3)
        self.assertEqual(self.ask("usage", INITECH)["instantiations"], 1)
        self.assertEqual(self.ask("list", leaf=early)["tenants"], [INITECH])

    def test_limits_change_at_run_time_and_a_device_obeys(self):
        home = Home(self.stack, self.pki, ACME, "acme", self.backend)
        home.found()
        device = home.add_device("lamp-meter", "temperature", "--interval", "0.5", hop=self.backend)
        home.pair_devices()
        watch = home.app.watch()
        watch.wait_readings("lamp-meter", 3)
        before = self.ask("usage", ACME)
        self.assertEqual(before["instantiations"], 1)
        self.assertGreaterEqual(before["connections"], 2)  # the device and the watching phone
        self.assertEqual(before["refused"], {})

        watch.process.terminate()  # it asks after its devices, and what it brings is the tenant's as well
        start = device.process.log.mark()
        changed = self.ask("limits", ACME, "--set", "records_per_second=0.5", "records_burst=1")
        self.assertEqual((changed["records_per_second"], changed["records_burst"]), (0.5, 1))
        cut = device.process.log.matching("disconnected", lambda entry: True, start)
        wait_until(lambda: len(cut()) >= 2, "two refusals that the device was told of", 40)
        # Who comes back when it was told to is let in then: it is refused once for each time that it was cut off. One more
        # may be its report of its state, on a call of its own that the log does not tell of.
        over = self.ask("usage", ACME)["refused"]["records_per_second"]
        self.assertGreaterEqual(over, 2)
        self.assertLessEqual(over, len(cut()) + 1, "it came back before it was told to")

        one = self.ask("limits", ACME, "--set", "records_per_second=none", "stored_bytes=64MiB")
        self.assertEqual((one["records_per_second"], one["records_burst"], one["stored_bytes"]), (0, 1, 64 << 20))
        self.assertEqual(self.ask("limits", ACME), one)
        watch.process.relaunch()
        seen = len(watch.records("readings", "lamp-meter"))
        watch.wait_readings("lamp-meter", seen + 8, patience=60)
        self.assertEqual(watch.alarms(), [])
        for stream in {entry["stream"] for entry in watch.records(device="lamp-meter")}:
            sequences = sorted(entry["sequence"] for entry in watch.events.find("record") if entry["stream"] == stream)
            self.assertEqual(sequences, list(range(sequences[0], sequences[-1] + 1)), "a reading was lost or came twice")

        after = self.ask("usage", ACME)
        self.assertGreater(after["records_in"], before["records_in"])
        self.assertGreater(after["stored_bytes"], before["stored_bytes"])
        # Exactly what is stored: to the limit set here the device may fill it, and not one byte more.
        self.ask("limits", ACME, "--set", f"stored_bytes={after['stored_bytes']}")
        wait_until(lambda: self.ask("usage", ACME)["refused"].get("stored_bytes", 0) > 0, "a refusal over stored_bytes")
        self.admin("limits", ACME, "--set", "stored_bytes=none")

    def test_what_people_see(self):
        shown = self.admin("limits", GLOBEX, "--set", "bytes_per_second=64KiB", "retention_seconds=30d").stdout
        self.assertRegex(shown, r"bytes_per_second +64 KiB a second")
        self.assertRegex(shown, r"retention_seconds +30 days")
        self.assertRegex(shown, r"connections +no limit")
        self.assertRegex(self.admin("usage", GLOBEX).stdout, r"refused +nothing")
        watching = self.stack.converse("keystead-admin", "usage", GLOBEX, "--watch", "--interval", "0.1", "--json", "--backend",
                                       self.backend.address, "--backend-id", self.backend.spiffe,
                                       *self.operator.options(self.backend.roots))
        for _ in range(3):
            self.assertEqual(json.loads(watching.stdout.readline())["streams"], 0)
        watching.terminate()
        self.assertEqual(watching.wait(20), 0)

    def test_an_administrator_sees_the_own_tenant_only(self):
        self.assertEqual(self.ask("list", leaf=self.alice)["tenants"], [ACME])
        self.assertIn("streams", self.ask("usage", ACME, leaf=self.alice))
        theirs = self.refused("usage", GLOBEX, leaf=self.alice)
        nobodys = self.refused("usage", "absent.example", leaf=self.alice)
        self.assertEqual(theirs.replace(GLOBEX, ""), nobodys.replace("absent.example", ""))
        self.assertIn("no such tenant", theirs)
        self.assertIn("no such tenant", self.refused("limits", GLOBEX, leaf=self.alice))
        self.assertIn("operator", self.refused("limits", ACME, "--set", "streams=1", leaf=self.alice))
        self.assertIn("operator", self.refused("create", "new.example", "--ca", self.pki.roots(ACME), leaf=self.alice))
        app = self.pki.leaf(ACME, "app", "curious")
        self.assertIn("role", self.refused("usage", ACME, leaf=app))

    def verify(self, path, *words, good=True):
        """Offline: neither a backend nor a certificate of one's own is named."""
        result = self.stack.run("keystead-admin", "audit", "verify", path, "--provider-ca", self.pki.provider_roots, *words,
                                check=False)
        self.assertEqual(result.returncode, 0 if good else 1, result.stdout + result.stderr)
        if not good:
            self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
            self.assertEqual(result.stdout, "")
        return result.stdout or result.stderr

    def test_an_audit_log_is_exported_and_verified_offline(self):
        self.admin("limits", GLOBEX, "--set", "streams=50")
        bob = self.pki.leaf(GLOBEX, "admin", "bob")
        old, new, part, edited = (self.stack.path(f"globex-{name}.audit") for name in ("old", "new", "part", "edited"))
        self.ask("audit", "export", GLOBEX, "--out", old, leaf=bob)
        self.assertIn("Good: the audit log of globex", self.verify(old, "--tenant", GLOBEX))
        self.admin("limits", GLOBEX, "--set", "streams=60")
        self.ask("audit", "export", GLOBEX, "--out", new)
        entries = [json.loads(line) for line in self.stack.run("keystead-admin", "audit", "show", new, "--json").stdout.splitlines()]
        self.assertEqual([entry["sequence"] for entry in entries], list(range(len(entries))))
        self.assertIn((self.operator.spiffe, "limits_set", GLOBEX), [(e["actor"], e["action"], e["object"]) for e in entries])
        self.assertIn("Not verified", self.stack.run("keystead-admin", "audit", "show", new).stdout)

        verified = json.loads(self.verify(new, "--extends", old, "--json"))
        self.assertEqual((verified["good"], verified["tenant"], verified["begin"], verified["trimmed"]), (True, GLOBEX, 0, 0))
        self.assertGreaterEqual(verified["added"], 1)
        before = json.loads(self.verify(old, "--json"))["end"]
        self.ask("audit", "export", GLOBEX, "--out", part, "--from", before)
        self.assertIn("continues", self.verify(part, "--extends", old))
        self.assertIn("NOT good", self.verify(part, good=False))
        self.assertIn("cut", self.verify(old, "--extends", new, good=False))
        self.assertIn("NOT good", self.verify(new, "--tenant", ACME, good=False))

        content = pathlib.Path(new).read_bytes()
        for change in (content.replace(b"streams: 60", b"streams: 61"), content[:-1], content[:content.rindex(b"limits_set")],
                       content.replace(b"operator/ops", b"operator/you")):
            self.assertNotEqual(change, content)
            pathlib.Path(edited).write_bytes(change)
            self.assertIn("NOT good", self.verify(edited, good=False))
        wrong_ca = self.stack.run("keystead-admin", "audit", "verify", new, "--provider-ca", self.pki.admission, check=False)
        self.assertEqual(wrong_ca.returncode, 1)

        self.assertIn("no such tenant", self.refused("audit", "export", GLOBEX, "--out", edited, leaf=self.alice))
        self.assertIn("no such tenant", self.refused("audit", "export", PROVIDER, "--out", edited, leaf=self.alice))
        self.ask("audit", "export", PROVIDER, "--out", edited)
        self.assertIn(GLOBEX, self.stack.run("keystead-admin", "audit", "show", edited).stdout)

    def new_tenant(self, name):
        """A tenant of its own for a test that takes it apart."""
        self.stack.run(ROOT / "certs/make-pki", "--out", self.pki.folder, "--provider", PROVIDER, "--tenant", name,
                       env={"KEYSTEAD_ISSUE": str(self.stack.bins / "keystead-issue")})
        self.ask("create", name, "--ca", self.pki.roots(name))

    def receipt(self, path, *words, good=True, ca=None):
        """Offline, as whoever was erased verifies it."""
        result = self.stack.run("keystead-admin", "receipt", "verify", path, "--provider-ca", ca or self.pki.provider_roots, *words,
                                check=False)
        self.assertEqual(result.returncode, 0 if good else 1, result.stdout + result.stderr)
        return result.stdout or result.stderr

    def test_a_key_is_rotated_and_a_tenant_erased_with_a_receipt(self):
        self.new_tenant(HOOLI)
        home = Home(self.stack, self.pki, HOOLI, "hooli", self.backend)
        home.found()
        self.assertEqual([self.ask("rotate", HOOLI)["version"] for _ in range(2)], [2, 3])
        hooli = self.pki.leaf(HOOLI, "admin", "gavin")
        self.assertEqual(self.ask("rotate", HOOLI, leaf=hooli)["version"], 4)
        self.assertIn("no such tenant", self.refused("rotate", ACME, leaf=hooli))
        instantiation = home.instantiation

        one, all_of_it, edited = (self.stack.path(f"hooli-{name}.receipt") for name in ("one", "all", "edited"))
        erase = ("erase", HOOLI, "--provider-ca", self.pki.provider_roots, "--out")
        self.assertIn("--confirm", self.refused(*erase, one, code=2))
        self.assertIn("--confirm", self.refused(*erase, one, "--confirm", ACME, code=2))
        self.assertIn("hex", self.refused(*erase, one, "--confirm", HOOLI, "--instantiation", "a home", code=2))
        self.assertIn("cannot create", self.refused(*erase, self.stack.path("absent/receipt"), "--confirm", HOOLI))
        self.assertIn("no such tenant", self.refused("erase", ACME, *erase[2:], one, "--confirm", ACME, leaf=hooli))
        self.assertFalse(os.path.exists(one))
        self.assertEqual(self.ask("usage", HOOLI)["instantiations"], 1)

        gone = self.ask(*erase, one, "--confirm", HOOLI, "--instantiation", instantiation)
        self.assertEqual((gone["tenant"], gone["instantiation"], gone["signer"]),
                         (HOOLI, instantiation, f"spiffe://{PROVIDER}/service/audit"))
        self.assertEqual(self.ask("usage", HOOLI)["instantiations"], 0)
        self.assertEqual(stat.S_IMODE(os.stat(one).st_mode), 0o600)
        self.assertIn("Good:", self.admin(*erase, all_of_it, "--confirm", HOOLI).stdout)
        self.assertNotIn(HOOLI, self.ask("list")["tenants"])
        self.ask(*erase, all_of_it, "--confirm", HOOLI)  # lost: an operator gets it again

        self.assertIn(instantiation, self.receipt(one, "--tenant", HOOLI))
        self.assertEqual(json.loads(self.receipt(all_of_it, "--json"))["instantiation"], "")
        self.assertIn("NOT good", self.receipt(one, "--tenant", ACME, good=False))
        self.assertIn("NOT good", self.receipt(one, ca=self.pki.admission, good=False))
        content = pathlib.Path(one).read_bytes()
        for change in (content.replace(b"hooli.keystead", b"holli.keystead"), content[:-1], content[:-1] + bytes([content[-1] ^ 1]),
                       content.replace(bytes.fromhex(instantiation), bytes(16)), b""):
            self.assertNotEqual(change, content)
            pathlib.Path(edited).write_bytes(change)
            self.assertIn("NOT good", self.receipt(edited, good=False))

    def test_a_tenant_comes_back_from_its_backup_and_its_app_says_what_is_missing(self):
        self.new_tenant(PIED)
        home = Home(self.stack, self.pki, PIED, "pied", self.backend)
        home.found()
        home.add_device("kettle", "temperature", "--interval", "0.2", hop=self.backend)
        home.pair_devices()
        watch = home.app.watch("pied-first")
        watch.wait_readings("kettle", 3)
        watch.process.terminate()
        theirs = self.export(GLOBEX, "globex-before")
        backup, edited = self.stack.path("pied.backup"), self.stack.path("pied-edited.backup")
        taken = self.ask("backup", PIED, "--out", backup)
        self.assertEqual((taken["tenant"], taken["bytes"]), (PIED, os.path.getsize(backup)))
        self.assertEqual(stat.S_IMODE(os.stat(backup).st_mode), 0o600)
        kept = self.ask("usage", PIED)

        wait_until(lambda: self.ask("usage", PIED)["records_in"] >= kept["records_in"] + 10, "ten records after the backup")
        restore = ("restore", PIED, "--in")
        content = pathlib.Path(backup).read_bytes()
        self.assertIn("--confirm", self.refused(*restore, backup, code=2))
        for change in (content[:-1], content[:len(content) // 2], content.replace(b"pied", b"dead", 1), b"",
                       content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]):
            pathlib.Path(edited).write_bytes(change)
            self.assertRegex(self.refused(*restore, edited, "--confirm", PIED), "nothing was changed")
        self.assertIn("another tenant", self.refused("restore", ACME, "--in", backup, "--confirm", ACME))
        self.assertIn("cannot open", self.refused(*restore, self.stack.path("absent"), "--confirm", PIED))
        admin = self.pki.leaf(PIED, "admin", "jared")
        self.assertIn("operator", self.refused(*restore, backup, "--confirm", PIED, leaf=admin))
        self.assertIn("operator", self.refused("backup", PIED, "--out", edited, leaf=admin))
        self.assertGreaterEqual(self.ask("usage", PIED)["stored_groups"], kept["stored_groups"] + 10)

        back = self.ask(*restore, backup, "--confirm", PIED)
        self.assertEqual((back["restored"], back["instantiations"], back["left_out"]), (PIED, 1, 0))
        self.assertEqual(back["taken"], taken["taken"])
        self.assertEqual(self.export(GLOBEX, "globex-after"), theirs)

        # The device goes on where it stood; what it sent between backup and restoration nobody has any more.
        again = home.app.watch("pied-again")
        missing = again.wait_for("missing")
        self.assertGreaterEqual(missing["last"] - missing["first"] + 1, 8, missing)
        start = again.events.mark()
        again.wait_readings("kettle", 3, start=start)
        self.assertEqual(again.events.find("alarm", lambda e: e["kind"] not in ("missing", "stale")), [])

    def export(self, tenant, name):
        """What the tenant may take away, as numbers; verified by the program as it comes."""
        path = self.stack.path(f"{name}.export")
        exported = self.ask("export", tenant, "--out", path)
        return {key: exported[key] for key in ("tenant", "instantiations", "commits", "groups", "records", "bytes")}

    def test_an_export_is_verified_offline(self):
        self.new_tenant(AVIATO)
        home = Home(self.stack, self.pki, AVIATO, "aviato", self.backend)
        home.found()
        exported = self.export(AVIATO, "aviato")
        self.assertEqual((exported["instantiations"], exported["records"] > 0), (1, True))
        path, edited = self.stack.path("aviato.export"), self.stack.path("aviato-edited.export")

        def verify(file, *words, good=True):
            result = self.stack.run("keystead-admin", "export", *words, "--verify", file, check=False)
            self.assertEqual(result.returncode, 0 if good else 1, result.stdout + result.stderr)
            return result.stdout or result.stderr

        ca = ("--provider-ca", self.pki.provider_roots)
        signed = json.loads(verify(path, AVIATO, *ca, "--json"))
        self.assertEqual((signed["signer"], signed["provider"]), (f"spiffe://{PROVIDER}/service/audit", PROVIDER))
        self.assertIn("Nobody's signature", verify(path))
        self.assertIn("NOT good", verify(path, ACME, *ca, good=False))
        self.assertIn("NOT good", verify(path, "--provider-ca", self.pki.admission, good=False))
        content = pathlib.Path(path).read_bytes()
        for change in (content[:-1], content[:len(content) // 2], content + b"x", b"", content.replace(b"aviato", b"oviato", 1),
                       content[:len(content) // 3] + bytes([content[len(content) // 3] ^ 1]) + content[len(content) // 3 + 1:]):
            pathlib.Path(edited).write_bytes(change)
            self.assertIn("NOT good", verify(edited, good=False))
        self.assertIn("--out", self.refused("export", AVIATO, code=2))

    def test_wrong_usage_says_what_to_do(self):
        for words, hint in ((("limits", ACME, "--set", "streems=1"), "streams"), (("limits", ACME, "--set", "streams=1.5"), "whole"),
                            (("limits", ACME, "--set", "streams=-1"), "0 or more"), (("usage", "ACME"), "lower-case"),
                            (("create", ACME), "--ca"), (("limits", ACME, "--set", "stored_bytes=5d"), "GiB"), ((), "subcommand"),
                            (("erase-everything",), "--help")):
            with self.subTest(words=words):
                self.assertIn(hint, self.refused(*words, code=2))
        result = self.stack.run("keystead-admin", "list", check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--backend HOST:PORT", result.stderr)

    def test_who_answers_is_verified(self):
        for address, server in ((self.backend.address, f"spiffe://{PROVIDER}/service/another"), ("127.0.0.1:1", self.backend.spiffe)):
            result = self.stack.run("keystead-admin", "list", "--backend", address, "--backend-id", server,
                                    *self.operator.options(self.backend.roots), check=False)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn("--backend-id", result.stderr)


if __name__ == "__main__":
    unittest.main()
