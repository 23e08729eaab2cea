"""The evidence of one run: a file of JSON lines that grows while the run goes on, and is whole whenever the run ends.

The first lines say what runs and that every assertion is NOT_RUN; a later line about the same (assertion, outcome, component)
takes the place of an earlier one. Each line is written with one call and synced, so that a run that is killed leaves what it knew.
Files that a line names lie beside it, with their SHA-256."""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import time

VERDICTS = ("MET", "PARTIAL", "NOT_MET", "NOT_APPLICABLE", "NOT_TESTABLE_HERE", "ERROR", "NOT_RUN")
LEVEL = "E3"  # a live run of several processes with an adversary; E4 needs the killed mutants as well, which a report adds

NOT_YET = "the run has not come to it"


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def build_of(bins, programs):
    """(one digest over all programs that take part, program → SHA-256)."""
    digests = {program: sha256_of(pathlib.Path(bins) / program) for program in sorted(set(programs))}
    whole = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in digests.items()).encode()).hexdigest()
    return whole, digests


def commit_of(root):
    """The commit, with + behind it where the tree was changed since; "unknown" outside a repository."""
    def git(*words):
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False, timeout=30)
    head = git("rev-parse", "HEAD")
    if head.returncode != 0:
        return "unknown"
    return head.stdout.strip() + ("+" if git("status", "--porcelain").stdout.strip() else "")


class Writer:
    """`identity`: what every line carries (build, commit, seed, mutant …). `programs`, `control`: program → SHA-256, of the build under
    test and of the one without protection."""

    def __init__(self, folder, scenario, identity, programs=None, control=None):
        self.folder = pathlib.Path(folder)
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "evidence.jsonl"
        self.scenario = scenario
        self.identity = dict(identity)
        self.started = time.monotonic()
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._line({"line": "run", "scenario": scenario.id, "file": pathlib.Path(scenario.path).name, "file_sha256": sha256_of(scenario.path),
                    "programs": programs or {}, "control": control or {}, "title": scenario.value["title"], "columns": scenario.columns,
                    "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")})
        for assertion in scenario.assertions:
            self._verdict(assertion, "NOT_RUN", "", NOT_YET, [])

    def _line(self, entry):
        entry = {**entry, **self.identity, "at": round(time.monotonic() - self.started, 3)}
        data = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        if os.write(self._file, data) != len(data):
            raise OSError(f"{self.path}: a line was not written as a whole")
        os.fsync(self._file)

    def _verdict(self, assertion, verdict, observed, reason, files):
        if verdict not in VERDICTS:
            raise ValueError(f"{verdict} is none of {', '.join(VERDICTS)}")
        if verdict != "MET" and not reason.strip():
            raise ValueError(f"{assertion['id']} is {verdict} without a reason")
        for outcome, component in self.scenario.cells(assertion):
            self._line({"line": "verdict", "outcome": outcome, "component": component, "scenario": self.scenario.id,
                        "assertion": assertion["id"], "polarity": assertion["polarity"], "verdict": verdict, "level": LEVEL,
                        "expected": assertion.get("expected", assertion["says"]), "observed": observed, "reason": reason, "files": files})

    def record(self, assertion, verdict, observed="", reason="", files=()):
        self._verdict(assertion, verdict, observed, reason, list(files))

    def keep(self, name, data):
        """Puts bytes, a text or what JSON can say beside the evidence; what a line says of them."""
        if not isinstance(data, (bytes, str)):
            data = json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        path = self.folder / "files" / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return {"path": f"files/{name}", "sha256": sha256_of(path)}

    def end(self, passed):
        self._line({"line": "end", "scenario": self.scenario.id, "as_expected": passed})
        os.close(self._file)
        self._file = None


class Results:
    """What a file of evidence says: the newest line of every cell."""

    def __init__(self, path):
        self.run, self.cells, self.ended = None, {}, None
        with open(path, encoding="utf-8") as file:
            for text in file:
                entry = json.loads(text)
                if entry["line"] == "run":
                    self.run = entry
                elif entry["line"] == "verdict":
                    self.cells[(entry["assertion"], entry["outcome"], entry["component"])] = entry
                else:
                    self.ended = entry

    def assertions(self):
        """One entry of each assertion, in the order of the file."""
        found = {}
        for entry in self.cells.values():
            found[entry["assertion"]] = entry
        return found
