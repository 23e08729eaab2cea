"""keystead-load as a command whose report is looked at."""

import json
import os
import pathlib
import unittest

from harness import Stack

SHORT = ["--warm-up-seconds", "0.25", "--alone-seconds", "0.5", "--neighbour-seconds", "0.75", "--recovery-seconds", "0.25"]


class LoadCase(unittest.TestCase):
    """Tests of one stack, in which keystead-load is run."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(cls.__name__)
        cls.addClassCleanup(cls.stack.close)
        cls.serial = 0

    def load(self, *arguments, code=(0, 3)):
        """Runs it to its end; its report. Whether the machine had a core to spare (3: it had not) is not what is tested."""
        type(self).serial += 1
        folder = pathlib.Path(self.stack.path(f"run-{self.serial}"))
        folder.mkdir()
        report = folder / "report.json"
        where = ["--folder", folder] if "--self" in arguments else []
        result = self.stack.run("keystead-load", *arguments, *where, "--json", report, patience=120, check=False)
        self.assertIn(result.returncode, code, result.stdout + result.stderr)
        if not report.exists():
            return result
        self.assertEqual([report.name], os.listdir(folder), "certificates and data of the run are gone")
        out = json.loads(report.read_text())
        self.assertEqual(out["valid"], result.returncode == 0)
        return out

    def assert_sums(self, records):
        self.assertEqual(records["offered"], records["sent"] + records["unsent"], records)
        self.assertEqual(records["sent"], records["acknowledged"] + records["refused"] + records["lost"], records)

    def assert_whole(self, records):
        """Nothing of what was sent was refused or lost, and it was not nothing. On a busy machine the last that were due are
        not sent any more, and counted as that."""
        self.assert_sums(records)
        self.assertGreater(records["sent"], 0)
        self.assertEqual(records["sent"], records["acknowledged"], records)
