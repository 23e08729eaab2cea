#!/usr/bin/env python3
"""An adversary has what it was granted, and nothing else is in its folder or within its reach."""

import os
import pathlib
import stat
import tempfile
import unittest

from grants import Adversary, NotGranted


class GrantsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.store = self.folder / "hub"
        (self.store / "deep").mkdir(parents=True)
        (self.store / "records").write_text("sealed", encoding="ascii")
        (self.store / "deep" / "more").write_text("sealed too", encoding="ascii")
        self.key = self.folder / "key.pem"
        self.key.write_text("a key", encoding="ascii")
        (self.store / "way-out").symlink_to(self.key)
        (self.store / "door").symlink_to(self.folder)
        self.adversary = Adversary("adv-hub", {"positions": ["front"], "files": {"hub": ["store", "memory"]}}, self.folder / "adversaries",
                                   self.paths, {"front": "the front's control", "back": "the back's control"})

    def paths(self, process, what):
        if what == "memory":
            return lambda target: (target / "memory").write_text("pages", encoding="ascii")
        return {"store": [self.store], "key": [self.key]}[what]

    def has(self):
        return sorted(str(path.relative_to(self.adversary.folder)) for path in self.adversary.folder.rglob("*") if not path.is_dir())

    def test_it_begins_with_nothing_in_a_folder_of_its_own(self):
        self.assertEqual(self.has(), [])
        self.assertEqual(stat.S_IMODE(self.adversary.folder.stat().st_mode), 0o700)

    def test_it_has_exactly_what_is_granted(self):
        self.adversary.take_all()
        self.assertEqual(self.has(), ["hub/memory/memory", "hub/store/hub/deep/more", "hub/store/hub/records"])

    def test_a_file_that_is_not_granted_is_not_there_and_cannot_be_taken(self):
        self.adversary.take_all()
        everything = b"".join(path.read_bytes() for path in self.adversary.folder.rglob("*") if path.is_file())
        self.assertNotIn(b"a key", everything)
        for process, what in (("hub", "key"), ("phone", "store")):
            with self.assertRaises(NotGranted):
                self.adversary.take(process, what)

    def test_links_do_not_lead_out_of_what_is_granted(self):
        self.adversary.take("hub", "store")
        self.assertFalse([path for path in self.adversary.folder.rglob("*") if path.is_symlink()])
        self.assertNotIn("hub/store/hub/way-out", self.has())

    def test_it_has_copies(self):
        copy = self.adversary.take("hub", "store") / "hub" / "records"
        copy.write_text("edited", encoding="ascii")
        self.assertEqual((self.store / "records").read_text(encoding="ascii"), "sealed")
        self.assertNotEqual(os.stat(copy).st_ino, os.stat(self.store / "records").st_ino)

    def test_taking_again_is_a_fresh_look(self):
        self.adversary.take("hub", "store")
        (self.store / "records").unlink()
        (self.store / "newer").write_text("sealed", encoding="ascii")
        self.adversary.take("hub", "store")
        self.assertEqual(self.has(), ["hub/store/hub/deep/more", "hub/store/hub/newer"])

    def test_it_controls_only_where_it_stands(self):
        self.assertEqual(self.adversary.position("front"), "the front's control")
        with self.assertRaises(NotGranted):
            self.adversary.position("back")


if __name__ == "__main__":
    unittest.main()
