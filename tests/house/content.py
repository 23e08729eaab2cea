"""Rules about what stands in files: readmes, lengths, secrets, words, and nothing committed that is made."""

import pathlib
import re

from tree import Finding

# Put together from parts, so that this file does not break its own rule.
WORDS = re.compile(r"(?:^|[^A-Za-z])(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")(?:[^A-Za-z]|$)")
MACHINE = re.compile("/wor" + r"k/[a-z]|/far" + r"m/[a-z]|/tmp/k" + r"s\b")
SHARED = ".." + "/shared"
PEM_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\[rn]|\s)*[A-Za-z0-9+/]{16}")
MADE = re.compile(r"\.(pem|key|p12|pfx|der|crt|csr|srl|o|a|so|pyc|gch)$|\.pb\.(cc|h)$|(^|/)node_modules/|(^|/)build/|"
                  r"(^|/)__pycache__/|(^|/)CMakeCache\.txt$|(^|/)CMakeFiles/|(^|/)build\.ninja$|(^|/)compile_commands\.json$")
MAX_LINES = 500
PAGE = "mobile-stub/console/page/"
MAX_PAGE_LINES = 300  # what a browser is given is read by who wants to trust it
COUNTED = (".h", ".cc", ".py", ".sh", ".js", ".mjs", ".css", ".proto", ".cmake")

EXPOSE = re.compile(r"\b(ExposeSecret|MutableSecret)\s*\(")
KEEPERS_OF_SECRETS = ("core/base/", "core/crypto/", "core/cose/", "core/membership/", "core/sealing/", "tests/")


def readmes(tree):
    """Every folder at the top, and below core/ and tests/, says in a README what it is for."""
    folders = {""}
    for path in tree.files:
        parts = pathlib.PurePosixPath(path).parts[:-1]
        parts = parts[:2] if path.startswith(("core/", "tests/")) else parts[:1]
        if not any(part.startswith(".") for part in parts):
            folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    known = set(tree.files)
    return [Finding(folder or ".", 0, "has no README.md")
            for folder in sorted(folders) if f"{folder}/README.md".lstrip("/") not in known]


def lengths(tree):
    """No source file beyond 500 lines without a reason in exceptions.txt."""
    findings = []
    for path in tree.files:
        if path.endswith(COUNTED) or path in tree.shell_scripts():
            lines = (tree.text(path) or "").count("\n")
            most = MAX_PAGE_LINES if path.startswith(PAGE) else MAX_LINES
            if lines > most:
                findings.append(Finding(path, 0, f"has {lines} lines, more than {most}"))
    return findings


def committed(tree):
    """No key, certificate, generated code or build output in the repository."""
    findings = []
    for path in tree.files:
        if MADE.search(path):
            findings.append(Finding(path, 0, "is made by a program or a build: it is not committed"))
        text = tree.text(path)
        if text is None:
            if not path.startswith("tests/fuzz/corpus/"):
                findings.append(Finding(path, 0, "is binary: list it with its reason"))
        elif match := PEM_KEY.search(text):
            findings.append(Finding(path, text.count("\n", 0, match.start()) + 1, "holds a private key"))
    return findings


def secrets(tree):
    """Key material is read only where keys are worked with; each other file is listed with its reason."""
    findings = []
    for path in tree.cpp():
        if path.startswith(KEEPERS_OF_SECRETS):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if match := EXPOSE.search(line.split("//")[0]):
                findings.append(Finding(path, number, f"{match.group(1)}() outside {', '.join(KEEPERS_OF_SECRETS)}"))
    return findings


LIMIT = re.compile(r"\bResourceExhaustedError\s*\(|[({,]\s*(?:absl::StatusCode::kResourceExhausted|"
                   r"grpc::StatusCode::RESOURCE_EXHAUSTED|grpc::RESOURCE_EXHAUSTED)\s*,")
SERVERS = ("backend/", "gateway/")
WHERE_LIMITS_ARE_SAID = "core/transport/limit_status.h"


def limits(tree):
    """Backend and gateway tell peers of a limit through limit_status.h: with its name, and when to come again."""
    findings = []
    for path in tree.cpp():
        if not path.startswith(SERVERS):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if LIMIT.search(line.split("//")[0]):
                findings.append(Finding(path, number, f"answers RESOURCE_EXHAUSTED without {WHERE_LIMITS_ARE_SAID}"))
    return findings


def words(tree):
    """No left-over marks, no path of one machine, and only .ci/run knows the folder beside the repository."""
    findings = []
    for path in tree.files:
        for number, line in enumerate((tree.text(path) or "").splitlines(), 1):
            if match := WORDS.search(line):
                findings.append(Finding(path, number, f"{match.group(1)}: do it, or open an item"))
            if match := MACHINE.search(line):
                findings.append(Finding(path, number, f"names a path of one machine: {match.group(0)}"))
            if path != ".ci/run" and SHARED in line:
                findings.append(Finding(path, number, f"only .ci/run knows {SHARED}"))
    return findings
