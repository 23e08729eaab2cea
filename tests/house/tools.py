"""Rules held by other people's tools: clang-format, shellcheck, clang-tidy."""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess

from tree import PROGRAMS, Finding


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace")


def shown(result, root):
    """The tool's own lines, with paths relative to the root."""
    text = (result.stdout + result.stderr).replace(str(root) + "/", "")
    return [line for line in text.splitlines() if re.search(r"(error|warning|note):|In .* line \d+", line)]


def format_(tree):
    """clang-format changes nothing in our C++."""
    sources = tree.cpp()
    result = run(["clang-format", "--dry-run", "-Werror", *sources], tree.root) if sources else None
    if result is None or result.returncode == 0:
        return []
    files = sorted({line.split(":")[0] for line in shown(result, tree.root)}) or ["clang-format"]
    return [Finding(path, 0, "is not formatted: clang-format -i it") for path in files]


def shell(tree):
    """shellcheck has nothing to say."""
    scripts = tree.shell_scripts()
    result = run(["shellcheck", "-x", "--format=gcc", *scripts], tree.root) if scripts else None
    if result is None or result.returncode == 0:
        return []
    return [Finding("shellcheck", 0, line) for line in shown(result, tree.root)] or \
        [Finding("shellcheck", 0, result.stderr)]


def compile_arguments(entry):
    """The compiler's own arguments: no launcher, no precompiled header."""
    words = shlex.split(entry["command"])
    while words and not re.search(r"(^|/)(c\+\+|g\+\+|clang\+\+)(-\d+)?$", words[0]):
        words.pop(0)
    kept, skip = [], 0
    for word in words[1:]:
        if skip:
            skip -= 1
        elif word in ("-o", "-c", "-Xclang", "-include-pch"):
            skip = 1
        elif word != "-Winvalid-pch":
            kept.append(word)
    return kept


def verdict_key(tree, path, arguments, version):
    """What a verdict depends on: the file, our headers below it, the arguments, the checks and the tool."""
    digest = hashlib.sha256("\0".join([version, path, *arguments]).encode())
    protos = sorted(name for name in tree.files if name.endswith(".proto"))
    reached = tree.closure(path)
    parts = [path, ".clang-tidy", *sorted(name for name in reached if (tree.root / name).is_file())]
    if any(name.endswith(".pb.h") for name in reached):
        parts += protos
    for part in parts:
        file = tree.root / part
        digest.update(b"\0" + part.encode() + b"\0" + (file.read_bytes() if file.is_file() else b""))
    return digest.hexdigest()


def tidy(tree, folders):
    """Judges every source below `folders` that has changed, in itself, its headers or its arguments, since it last
    passed; what passed is remembered in the build folder."""
    tool = "clang-tidy-19"
    if shutil.which(tool) is None:
        return [Finding(tool, 0, "is not installed, so nothing was shown")]
    database = json.loads((tree.build / "compile_commands.json").read_text())
    cache = tree.build / "clang-tidy-passed"
    cache.mkdir(exist_ok=True)
    version = run([tool, "--version"], tree.root).stdout
    work = []
    for entry in database:
        path = os.path.relpath(entry["file"], tree.root)
        if path.endswith(".cc") and path.split("/")[0] in folders and path in tree.files:
            arguments = compile_arguments(entry)
            key = cache / verdict_key(tree, path, arguments, version)
            if not key.exists():
                work.append((path, arguments, key))
    print(f"{tool}: {len(work)} of the sources below {', '.join(folders)} changed since they last passed", flush=True)

    def one(item):
        path, arguments, key = item
        result = run([tool, "--quiet", "--warnings-as-errors=*", path, "--", *arguments, "-Wno-error"], tree.root)
        if result.returncode == 0:
            key.touch()
        print(f"  {'passed' if result.returncode == 0 else 'FAILED'} {path}", flush=True)
        lines = [line for line in shown(result, tree.root) if "error:" in line]
        return [] if result.returncode == 0 else lines or [f"{path}: {result.stdout}{result.stderr}"]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        lines = {line for lines in pool.map(one, work) for line in lines}  # one header is seen from many sources
    return [Finding(tool, 0, line) for line in sorted(lines)]


def tidy_core(tree):
    """clang-tidy passes over core/."""
    return tidy(tree, ["core"])


def tidy_all(tree):
    """clang-tidy passes over core/ and the programs."""
    return tidy(tree, ["core", *PROGRAMS])
