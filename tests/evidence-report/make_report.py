#!/usr/bin/env python3
"""scripts/scenario report calls this: from folders of evidence to one page and to OSCAL. Exits 2 when the evidence is refused."""

import argparse
import pathlib
import sys

import collect
import model
import oscal
import oscal_rules
import page
from verdicts import BrokenRule
from words import VERDICT


def write(path, data):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data, encoding="utf-8")
    print(f"written: {path}")


def main(words=None):
    parser = argparse.ArgumentParser(prog="scripts/scenario report", description="From evidence of real builds and of mutants to a report.")
    parser.add_argument("folders", nargs="+", metavar="DIR", help="a folder that scripts/scenario run --out wrote")
    parser.add_argument("--html", metavar="FILE", help="one page, for people")
    parser.add_argument("--oscal", metavar="DIR", help="catalog, component definition, assessment plan and results, for machines")
    arguments = parser.parse_args(words)
    if not (arguments.html or arguments.oscal):
        parser.error("say what to make: --html FILE, --oscal DIR or both")
    try:
        report = model.of(arguments.folders)
        documents = oscal.documents(report) if arguments.oscal else {}
        wrong = oscal_rules.problems(documents)
    except (collect.Refused, BrokenRule) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    if wrong:
        print("\n".join(f"not OSCAL: {text}" for text in wrong), file=sys.stderr)
        return 2
    try:
        if arguments.html:
            write(arguments.html, page.page(report))
        for name, text in oscal.as_files(documents).items():
            write(pathlib.Path(arguments.oscal) / name, text)
    except OSError as error:
        print(f"error: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    for text in report.troubles():
        print(f"note: {text}")
    counts = report.counts()
    print(f"{len(report.cells)} cells: " + ", ".join(f"{counts[verdict]} {word}" for verdict, word in VERDICT.items() if verdict in counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
