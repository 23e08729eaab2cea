"""The tree under examination: which files it has, what they include, and what is excused."""

import functools
import os
import pathlib
import re
import subprocess
from typing import NamedTuple

CORE = ["base", "observe", "crypto", "cose", "membership", "sealing", "identity", "audit", "storage", "transport", "copies",
        "program", "member"]
PROGRAMS = ["device-sim", "gateway", "backend", "mobile-stub", "infra-sim"]
SKIPPED_FOLDERS = {".git", "build", "run", "node_modules", "__pycache__"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


class Finding(NamedTuple):
    path: str  # relative to the root
    line: int  # 0: the file or folder as a whole
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


class Include(NamedTuple):
    line: int
    quoted: bool
    target: str


class Tree:
    """Paths are relative to the root, with forward slashes. In a repository: what is committed or would be."""

    def __init__(self, root, build=None):
        self.root = pathlib.Path(root).resolve()
        self.build = pathlib.Path(build).resolve() if build else None

    @functools.cached_property
    def files(self):
        if (self.root / ".git").exists():
            # safe.directory: in a container the clone often belongs to another user.
            command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listed = subprocess.run(command, cwd=self.root, check=True, capture_output=True).stdout.decode()
            found = [path for path in listed.split("\0") if path and (self.root / path).is_file()]
        else:
            found = []
            for folder, names, files in os.walk(self.root):
                names[:] = [name for name in names if name not in SKIPPED_FOLDERS]
                found += [(pathlib.Path(folder) / name).relative_to(self.root).as_posix() for name in files]
        return sorted(set(found))

    @functools.cache
    def text(self, path):
        """None when the file is not text."""
        data = (self.root / path).read_bytes()
        if b"\0" in data[:8192]:
            return None
        return data.decode("utf-8", errors="replace")

    def cpp(self):
        return [path for path in self.files if path.endswith((".h", ".cc"))]

    def shell_scripts(self):
        def is_shell(path):
            text = self.text(path) or ""
            first = text.split("\n", 1)[0]
            return path.endswith(".sh") or re.match(r"#!.*\b(ba)?sh\b", first) is not None

        return [path for path in self.files if is_shell(path)]

    @functools.cache
    def includes(self, path):
        text = self.text(path) or ""
        return [Include(text.count("\n", 0, m.start(1)) + 1, m.group(1) == '"', m.group(2))
                for m in INCLUDE.finditer(text)]

    @functools.cache
    def closure(self, path):
        """Every include target reachable from `path` through headers of this tree, itself not among them."""
        seen, todo = set(), [path]
        while todo:
            for include in self.includes(todo.pop()):
                if include.target not in seen:
                    seen.add(include.target)
                    if (self.root / include.target).is_file():
                        todo.append(include.target)
        return seen

    def exceptions(self, rule):
        """Lines "rule path reason…" of tests/house/exceptions.txt; a path that ends in / excuses the folder."""
        listed = self.root / "tests/house/exceptions.txt"
        found = {}
        for line in listed.read_text().splitlines() if listed.is_file() else []:
            if line.strip() and not line.startswith("#"):
                name, path, reason = line.split(None, 2)  # an exception without a reason is an error
                if name == rule:
                    found[path] = reason
        return found

    def excuse(self, rule, findings):
        """Drops what is excused, and adds a finding for each excuse that nothing needs any more."""
        exceptions = self.exceptions(rule)
        used, kept = set(), []
        for finding in findings:
            match = [path for path in exceptions
                     if finding.path == path or (path.endswith("/") and finding.path.startswith(path))]
            used.update(match)
            if not match:
                kept.append(finding)
        kept += [Finding("tests/house/exceptions.txt", 0, f"'{rule} {path}' excuses nothing any more: remove it")
                 for path in sorted(set(exceptions) - used)]
        return kept
