"""Rules about who may include and link whom (docs/architecture.md, "The house")."""

import re
import subprocess

from tree import CORE, PROGRAMS, Finding

LINKED = re.compile(r"\bkeystead_([a-z]+)\b(?!\w|\s*\()")


def core_folder(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "core" and len(parts) > 2 else None


def arrows(tree):
    """core/ points only upward in its list; programs include core/ and proto/, never each other."""
    findings = []
    for path in tree.cpp():
        own, program = core_folder(path), path.split("/")[0]
        for include in tree.includes(path):
            target = include.target
            where = core_folder(target)
            first = target.split("/")[0]

            def bad(why, line=include.line):
                findings.append(Finding(path, line, why))

            if ".." in target.split("/"):
                bad(f"includes {target}: paths are rooted at the repository")
            elif own and where and where not in CORE[:CORE.index(own) + 1] if own in CORE else False:
                bad(f"core/{own} must not include core/{where}")
            elif own and first in PROGRAMS + ["tests"]:
                bad(f"core/ must not include {first}/")
            elif program in PROGRAMS and first in PROGRAMS + ["tests"] and first != program:
                bad(f"{program} must not include {first}/: programs meet in proto/")
            elif path.startswith("backend/admin/") and first == "backend" and not target.startswith("backend/admin/"):
                bad("backend/admin is a client of its own: it must not include the server's code")
            elif include.quoted and "/" not in target and (tree.root / path).parent.joinpath(target).is_file():
                bad(f"includes {target}: paths are rooted at the repository")
    targets = program_targets(tree)
    for path in tree.files:
        if not path.endswith("/CMakeLists.txt") or path.split("/")[0] not in ["core", *PROGRAMS]:
            continue
        findings += links_no_program(tree, path, targets)
        if path.startswith("core/"):
            own = core_folder(path)
            if own and own not in CORE:
                findings.append(Finding(path, 0, f"core/{own} is not in the list of core folders"))
            elif own:
                findings += links_upward(tree, path, own)
    return findings


def links_upward(tree, path, own):
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        for name in LINKED.findall(line.split("#")[0]):
            if name in CORE and CORE.index(name) > CORE.index(own):
                yield Finding(path, number, f"core/{own} must not link keystead_{name}")


DEFINED = re.compile(r"^\s*(?:keystead_library|keystead_program|keystead_fuzz_target|add_library|add_executable)\(\s*"
                     r"([\w-]+)", re.M)


def without_comments(text):
    return "\n".join(line.split("#")[0] for line in text.splitlines())


def program_targets(tree):
    """Every library and program that a program's own CMake files define, at any depth, and whose it is."""
    return {name: path.split("/")[0] for path in tree.files
            if path.split("/")[0] in PROGRAMS and path.endswith("/CMakeLists.txt")
            for name in DEFINED.findall(without_comments(tree.text(path)))}


def links_no_program(tree, path, targets):
    """Neither core nor another program names a target of a program."""
    own = path.split("/")[0]
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        for name in re.findall(r"[\w-]+", line.split("#")[0]):
            if targets.get(name, own) != own:
                yield Finding(path, number, f"{own} must not link {name} of {targets[name]}")


# Library, how its headers begin, and where they may be seen, be it through other headers.
CONFINED = [
    ("OpenSSL", re.compile(r"^openssl/"),
     ("core/crypto/", "core/identity/", "tests/unit/crypto/", "tests/unit/identity/",
      "tests/fuzz/certificate_fuzz.cc")),
    # Tests above storage let its file system lose what was not synced.
    ("RocksDB", re.compile(r"^rocksdb/"), ("core/storage/", "tests/unit/")),
    ("cpp-httplib", re.compile(r"^httplib\.h$"), ("mobile-stub/console/",)),
    ("prometheus-cpp", re.compile(r"^prometheus/"), ("core/observe/",)),
    ("gRPC", re.compile(r"^(grpc|grpcpp|grpc\+\+)/|\.grpc\.pb\.h$"),
     ("core/transport/", "core/program/", "core/member/", "tests/", *(program + "/" for program in PROGRAMS))),
]


def headers(tree):
    """OpenSSL, RocksDB and gRPC headers stay where they belong, also when they come through a header of ours."""
    findings = []
    for path in tree.cpp():
        # Only files that name it are compiled for the mutants: through a header, two files would see two of it.
        if path.endswith(".h") and "core/base/mutants.h" in {include.target for include in tree.includes(path)}:
            findings.append(Finding(path, 0, "includes core/base/mutants.h: that is for sources only"))
        for library, pattern, allowed in CONFINED:
            if path.startswith(allowed):
                continue
            direct = {include.target for include in tree.includes(path)}
            for target in sorted(tree.closure(path)):
                if pattern.search(target):
                    how = "includes" if target in direct else "reaches, through headers of ours,"
                    findings.append(Finding(path, 0, f"{how} <{target}>: {library} belongs to {', '.join(allowed)}"))
                    break
    return findings


# A declaration or definition, its parameters without parentheses of their own: that is how ours are written.
FUNCTION = re.compile(r"([~\w]+)\s*\(([^()]*\bInstantiationId\b[^()]*)\)\s*(?:const|noexcept|override|final|\s)*[;{:=]")


def tenant_view(tree):
    """A backend function that takes an InstantiationId also takes a TenantView: nothing is looked up across tenants."""
    findings = []
    for path in tree.cpp():
        if not path.startswith("backend/"):
            continue
        text = re.sub(r"//[^\n]*", "", tree.text(path))
        for match in FUNCTION.finditer(text):
            if "TenantView" not in match.group(2):
                line = text.count("\n", 0, match.start()) + 1
                # Excused function by function, not file by file.
                findings.append(Finding(f"{path}:{match.group(1)}", line,
                                        "takes an InstantiationId without a TenantView"))
    return findings


def blind_backend(tree):
    """The backend does not link core/sealing and does not include it, not even through another header."""
    findings = []
    for path in tree.cpp():
        if path.startswith("backend/"):
            findings += [Finding(path, 0, f"reaches {target}: the backend must not be able to read")
                         for target in sorted(tree.closure(path)) if target.startswith("core/sealing/")]
    for path in tree.files:
        if path.startswith("backend/") and path.endswith("CMakeLists.txt") and "keystead_sealing" in tree.text(path):
            findings.append(Finding(path, 0, "names keystead_sealing"))
    if tree.build:
        findings += blind_binary(tree.build)
    return findings


def symbols(path, *options):
    output = subprocess.run(["nm", "--defined-only", *options, str(path)], check=True, capture_output=True, text=True)
    # Strong functions and data only: templates and inline functions of ours are emitted wherever they are used.
    return {fields[-1] for fields in map(str.split, output.stdout.splitlines())
            if len(fields) >= 3 and fields[-2] in "TDBRtdbr" and "keystead" in fields[-1]}


def blind_binary(build):
    library = build / "core/sealing/libkeystead_sealing.a"
    backend = build / "bin/keystead-backend"
    app = build / "bin/keystead-mobile-stub"
    missing = [path for path in (library, backend, app) if not path.is_file()]
    if missing:
        return [Finding(str(path.relative_to(build)), 0, "is not built, so nothing was shown") for path in missing]
    sealing = symbols(library, "--extern-only")
    findings = []
    if not sealing & symbols(app):  # the control: this search finds sealing where it is
        findings.append(Finding("bin/keystead-mobile-stub", 0, "no symbol of core/sealing found: the search is blind"))
    findings += [Finding("bin/keystead-backend", 0, f"contains {name} of core/sealing")
                 for name in sorted(sealing & symbols(backend))]
    graph = subprocess.run(["ninja", "-C", str(build), "-t", "commands", "bin/keystead-backend"],
                           check=True, capture_output=True, text=True).stdout
    link = graph.strip().splitlines()[-1]
    if "keystead-backend" not in link:
        findings.append(Finding("build.ninja", 0, "the link command of keystead-backend was not found"))
    if "libkeystead_sealing" in link:
        findings.append(Finding("build.ninja", 0, "keystead-backend links libkeystead_sealing"))
    return findings
