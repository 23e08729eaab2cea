#!/usr/bin/env python3
"""Writes the report that the browser's tests look at: both scenarios with all mutants, every verdict, and hostile texts in the evidence.
`made_page.py FOLDER`"""

import pathlib
import sys

from making import make, make_all, report

HOSTILE = """<script>window.hurt = 1</script><img src=https://elsewhere.invalid/x onerror="window.hurt = 1">' " & \u202eback\u0007"""
VERDICTS = {"C1.1a": ("NOT_MET", HOSTILE, "expected otherwise: " + HOSTILE), "C1.1b": ("ERROR", "", "Failure: " + HOSTILE), "C1.1c": ("PARTIAL", HOSTILE, HOSTILE),
            "C1.5": ("NOT_APPLICABLE", "", f"rule: only with updates; here: none; {HOSTILE}"), "C1.4": ("MET", HOSTILE + "-" * 300 + "x" * 300, "")}


def write(folder):
    folder = pathlib.Path(folder)
    folders = [*make_all(folder / "evidence"), make(folder / "evidence/C1", "C1", verdicts=VERDICTS)]
    code, said = report(*folders, "--html", folder / "report.html", "--oscal", folder / "oscal")
    if code:
        sys.exit(said)
    return folder / "report.html"


if __name__ == "__main__":
    print(write(sys.argv[1]))
