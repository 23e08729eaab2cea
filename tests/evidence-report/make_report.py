#!/usr/bin/env python3
"""scripts/scenario report calls this: from folders of evidence to one page and to OSCAL. Exits 2 when the evidence is refused."""

import argparse
import pathlib
import sys

import collect
import model
import mutant_page
import oscal
import oscal_rules
import page
import scenario as scenarios
from verdicts import BrokenRule
from words import VERDICT


class NotOscal(Exception):
    """What would be written breaks rules of OSCAL, each in a line."""


def of_mutant(arguments):
    """Path → text of what to write, and what to say."""
    said = "note: this page is of a build that was broken on purpose: no verdict on it is one of the product"
    return {arguments.html: mutant_page.page(collect.read_mutant(arguments.folders[0]))}, [said]


def of_builds(arguments):
    report = model.of(arguments.folders)
    documents = oscal.documents(report) if arguments.oscal else {}
    if wrong := oscal_rules.problems(documents):
        raise NotOscal("\n".join(f"not OSCAL: {text}" for text in wrong))
    files = {arguments.html: page.page(report)} if arguments.html else {}
    files |= {pathlib.Path(arguments.oscal) / name: text for name, text in oscal.as_files(documents).items()}
    counts = report.counts()
    told = ", ".join(f"{counts[verdict]} {word}" for verdict, word in VERDICT.items() if verdict in counts)
    return files, [*(f"note: {text}" for text in report.troubles()), f"{len(report.cells)} cells: {told}"]


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
    parser.add_argument("--files", metavar="DIR", help="the scenarios' files that the evidence is of; else those of tests/scenarios")
    parser.add_argument("--mutant-alone", action="store_true", help="with --html: the page of one run on a mutant, which judges no outcome")
    arguments = parser.parse_args(words)
    if not (arguments.html or arguments.oscal):
        parser.error("say what to make: --html FILE, --oscal DIR or both")
    if arguments.files and arguments.oscal:
        parser.error("--files is for a page: what machines are told is of the files of this repository")
    if arguments.mutant_alone and (arguments.oscal or len(arguments.folders) != 1):
        parser.error("--mutant-alone makes the page of one run, and nothing for machines: its verdicts are none of the product")
    if arguments.files:
        scenarios.FILES = pathlib.Path(arguments.files)
    try:
        files, said = of_mutant(arguments) if arguments.mutant_alone else of_builds(arguments)
    except (collect.Refused, BrokenRule, NotOscal) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    try:
        for path, data in files.items():
            write(path, data)
    except OSError as error:
        print(f"error: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
