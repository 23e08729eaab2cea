#!/usr/bin/env python3
"""Holds the tree to one rule of the house: check.py RULE --root FOLDER [--build FOLDER]. Exit 1 on a finding."""

import argparse
import sys

import content
import structure
import tools
from tree import Tree

RULES = {
    "arrows": structure.arrows,
    "headers": structure.headers,
    "blind_backend": structure.blind_backend,
    "tenant_view": structure.tenant_view,
    "readmes": content.readmes,
    "lengths": content.lengths,
    "committed": content.committed,
    "secrets": content.secrets,
    "limits": content.limits,
    "words": content.words,
    "format": tools.format_,
    "shell": tools.shell,
    "tidy_core": tools.tidy_core,
    "tidy_all": tools.tidy_all,
}


def check(rule, root, build=None):
    """The findings that no exception excuses."""
    tree = Tree(root, build)
    return tree.excuse(rule, list(RULES[rule](tree)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rule", choices=RULES)
    parser.add_argument("--root", required=True)
    parser.add_argument("--build")
    options = parser.parse_args()
    findings = check(options.rule, options.root, options.build)
    for finding in findings:
        print(finding)
    print(f"{options.rule}: {len(findings)} findings. {RULES[options.rule].__doc__ or ''}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
