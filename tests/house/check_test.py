#!/usr/bin/env python3
"""The rules themselves: each passes a tree that keeps it and fails one that breaks it."""

import pathlib
import tempfile
import unittest

from check import RULES, check

CLEAN = {
    "README.md": "x\n", "core/README.md": "x\n", "core/base/README.md": "x\n", "core/crypto/README.md": "x\n",
    "core/sealing/README.md": "x\n", "backend/README.md": "x\n", "gateway/README.md": "x\n",
    "core/base/a.h": "#pragma once\n",
    "core/crypto/key.h": '#pragma once\n#include "core/base/a.h"\n',
    "core/crypto/key.cc": '#include "core/crypto/key.h"\n\n#include <openssl/evp.h>\n',
    "core/crypto/CMakeLists.txt": "keystead_library(keystead_crypto SOURCES key.cc PUBLIC keystead_base)\n",
    "core/sealing/seal.h": '#pragma once\n#include "core/crypto/key.h"\n',
    "backend/main.cc": '#include "core/crypto/key.h"\n#include "keystead/v1/transport.grpc.pb.h"\n',
    "backend/CMakeLists.txt": "keystead_library(keystead_backend_lib SOURCES b.cc)\n"
                              "keystead_program(keystead-backend SOURCES main.cc PRIVATE keystead_backend_lib)\n",
    "device-sim/README.md": "x\n", "device-sim/signals/README.md": "x\n",
    "device-sim/CMakeLists.txt": "keystead_library(keystead_device PUBLIC keystead_device_signals)\n",
    "device-sim/signals/CMakeLists.txt": "keystead_library(keystead_device_signals SOURCES s.cc)  # for keystead_other\n",
    "mobile-stub/README.md": "x\n",
    "mobile-stub/CMakeLists.txt": "# its own: not keystead_device\nkeystead_library(\n  keystead_mobile_engine SOURCES e.cc)\n",
    "backend/intake.h": "#pragma once\nvoid Take(TenantView tenant, InstantiationId id);\n",
    "gateway/main.cc": '#include "core/sealing/seal.h"\n',
    "run.sh": '#!/bin/sh\necho "$1"\n',
}
TOOL_RULES = {"tidy_core", "tidy_all"}  # need a build folder: tests of their own below
KEY = "-----BEGIN PRIV" + "ATE KEY-----\n"

# Rule, files that break it, and a part of what the finding says.
BROKEN = [
    ("arrows", {"core/base/b.h": '#include "core/crypto/key.h"\n'}, "core/base must not include core/crypto"),
    ("arrows", {"core/base/b.h": "#  include <core/sealing/seal.h>\n"}, "must not include core/sealing"),
    ("arrows", {"core/crypto/b.h": '#include "backend/main.h"\n'}, "must not include backend"),
    ("arrows", {"core/crypto/b.h": '#include "../base/a.h"\n'}, "rooted"),
    ("arrows", {"core/crypto/b.h": '#include "key.h"\n'}, "rooted"),
    ("arrows", {"gateway/b.cc": '#include "backend/store.h"\n'}, "must not include backend"),
    ("arrows", {"backend/admin/b.cc": '#include "backend/limits.h"\n'}, "must not include the server's code"),
    ("arrows", {"core/crypto/CMakeLists.txt": "keystead_library(keystead_crypto\n  PUBLIC keystead_sealing)\n"},
     "must not link keystead_sealing"),
    ("arrows", {"core/extra/CMakeLists.txt": "\n"}, "not in the list"),
    ("arrows", {"gateway/CMakeLists.txt": "keystead_program(g PRIVATE keystead_backend_lib)\n"},
     "gateway must not link keystead_backend_lib of backend"),
    ("arrows", {"gateway/CMakeLists.txt": "keystead_program(g\n  PRIVATE keystead_mobile_engine)\n"},
     "gateway must not link keystead_mobile_engine of mobile-stub"),
    ("arrows", {"gateway/CMakeLists.txt": "keystead_program(g PRIVATE keystead_device_signals)\n"},
     "gateway must not link keystead_device_signals of device-sim"),
    ("arrows", {"mobile-stub/part/CMakeLists.txt": "add_dependencies(x keystead-backend)\n"},
     "mobile-stub must not link keystead-backend of backend"),
    ("arrows", {"core/crypto/CMakeLists.txt": "keystead_library(keystead_crypto PRIVATE keystead_device)\n"},
     "core must not link keystead_device of device-sim"),
    ("tenant_view", {"backend/b.h": "absl::Status Read(const InstantiationId& id, int n);\n"},
     "b.h:Read:1: takes an InstantiationId without a TenantView"),
    ("tenant_view", {"backend/b.cc": "int Count(Store& store,\n          const InstantiationId& id) const {\n  return 1;\n}\n"},
     "b.cc:Count:1: takes an InstantiationId without a TenantView"),
    ("headers", {"backend/b.cc": "#include <openssl/evp.h>\n"}, "OpenSSL"),
    ("headers", {"backend/b.h": '#pragma once\n#include "core/base/mutants.h"\n'}, "for sources only"),
    ("headers", {"core/crypto/key.h": "#include <openssl/evp.h>\n"}, "through headers of ours"),
    ("headers", {"core/sealing/b.cc": "#include <rocksdb/db.h>\n"}, "RocksDB"),
    ("headers", {"backend/b.cc": "#include <rocksdb/db.h>\n"}, "RocksDB"),
    ("headers", {"core/program/b.cc": "#include <prometheus/counter.h>\n"}, "prometheus-cpp"),
    ("headers", {"core/sealing/b.cc": "#include <grpcpp/grpcpp.h>\n"}, "gRPC"),
    ("headers", {"core/sealing/b.cc": '#include "keystead/v1/transport.grpc.pb.h"\n'}, "gRPC"),
    ("headers", {"backend/b.cc": "#include <httplib.h>\n"}, "cpp-httplib"),
    ("blind_backend", {"backend/b.cc": '#include "core/sealing/seal.h"\n'}, "must not be able to read"),
    ("blind_backend", {"core/identity/x.h": '#include "core/sealing/seal.h"\n',
                       "backend/b.cc": '#include "core/identity/x.h"\n'}, "must not be able to read"),
    ("blind_backend", {"backend/CMakeLists.txt": "keystead_program(b PRIVATE keystead_sealing)\n"}, "keystead_sealing"),
    ("readmes", {"core/cose/cbor.h": "\n"}, "core/cose: has no README"),
    ("readmes", {"docs/x.md": "\n"}, "docs: has no README"),
    ("lengths", {"core/base/long.cc": "\n" * 501}, "501 lines"),
    ("lengths", {"mobile-stub/console/page/app/long.js": "\n" * 301}, "more than 300"),
    ("lengths", {"scripts/long": "#!/bin/bash\n" + "\n" * 500}, "501 lines"),
    ("committed", {"certs/ca.pem": "x\n"}, "not committed"),
    ("committed", {"certs/ca.key": "x\n"}, "not committed"),
    ("committed", {"proto/a.pb.cc": "x\n"}, "not committed"),
    ("committed", {"app/node_modules/a.js": "x\n"}, None),  # skipped outside a repository, ignored inside
    ("committed", {"docs/example.txt": "see\n" + KEY + "MIGHAgEAMBMGByqGSM49AgEG\n"}, "private key"),
    ("committed", {"docs/blob": "a\0b"}, "binary"),
    ("secrets", {"backend/b.cc": "auto k = key.ExposeSecret();\n"}, "ExposeSecret() outside"),
    ("secrets", {"core/identity/b.cc": "Fill(key.MutableSecret ());\n"}, "MutableSecret() outside"),
    ("limits", {"gateway/b.cc": 'return absl::ResourceExhaustedError("full");\n'}, "without core/transport/limit_status.h"),
    ("limits", {"backend/b.cc": "return {grpc::StatusCode::RESOURCE_EXHAUSTED, sentence};\n"}, "RESOURCE_EXHAUSTED"),
    ("limits", {"backend/b.cc": "absl::Status s(absl::StatusCode::kResourceExhausted, why);\n"}, "RESOURCE_EXHAUSTED"),
    ("words", {"docs/a.md": "TO" + "DO: later\n"}, "do it"),
    ("words", {"core/base/b.h": "// FIX" + "ME\n"}, "do it"),
    ("words", {"scripts/x": "cat /wor" + "k/main/x\n"}, "one machine"),
    ("words", {"scripts/x": "cat .." + "/shared/x\n"}, "only .ci/run"),
    ("format", {"core/base/b.h": "#pragma once\nint  x( );\n"}, "core/base/b.h: is not formatted"),
    ("shell", {"run.sh": "#!/bin/sh\nrm $1\n"}, "SC2086"),
    ("shell", {"scripts/without-ending": "#!/usr/bin/env bash\nrm $1\n"}, "SC2086"),
]


class HouseRulesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="keystead-house-")
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.write(CLEAN)

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def test_a_clean_tree_keeps_every_rule(self):
        for rule in RULES:
            if rule not in TOOL_RULES:
                self.assertEqual(check(rule, self.root), [], rule)

    def test_each_breach_is_found(self):
        for rule, files, expected in BROKEN:
            with self.subTest(rule=rule, files=sorted(files)), tempfile.TemporaryDirectory() as folder:
                self.root = pathlib.Path(folder)
                self.write(CLEAN)
                self.write(files)
                said = "\n".join(map(str, check(rule, self.root)))
                if expected is None:
                    self.assertEqual(said, "")
                else:
                    self.assertIn(expected, said)

    def test_every_rule_has_a_breach(self):
        tried = {rule for rule, _, expected in BROKEN if expected}
        self.assertEqual({rule for rule in RULES if rule not in TOOL_RULES} - tried, set())

    def test_an_exception_excuses_its_file_and_no_other(self):
        self.write({"core/base/a.cc": "\n" * 501, "tests/house/exceptions.txt": "lengths core/base/a.cc a table\n"})
        self.assertEqual(check("lengths", self.root), [])
        self.write({"core/base/b.cc": "\n" * 501})
        self.assertEqual([f.path for f in check("lengths", self.root)], ["core/base/b.cc"])

    def test_an_exception_nobody_needs_is_a_finding(self):
        self.write({"tests/house/exceptions.txt": "# comment\nlengths core/base/a.h was long\n"})
        self.assertIn("excuses nothing", str(check("lengths", self.root)[0]))

    def test_an_exception_without_a_reason_is_an_error(self):
        self.write({"tests/house/exceptions.txt": "lengths core/base/a.h\n"})
        with self.assertRaises(ValueError):
            check("lengths", self.root)

    def test_a_binary_that_was_not_built_is_a_finding(self):
        said = "\n".join(map(str, check("blind_backend", self.root, self.root / "build")))
        self.assertIn("is not built, so nothing was shown", said)

    def write_database(self, names):
        build = self.root / "build"
        build.mkdir()
        entries = ",".join(
            f'{{"directory": "{build}", "file": "{self.root}/core/base/{name}.cc", '
            f'"command": "env A=b ccache /usr/bin/clang++-19 -I{self.root} -Xclang -fno-pch-timestamp -include-pch no.pch -o {name}.o -c {name}.cc"}}'
            for name in names)
        (build / "compile_commands.json").write_text(f"[{entries}]")
        return build

    def test_clang_tidy_fails_once_and_remembers_what_passed(self):
        self.write({
            ".clang-tidy": "Checks: '-*,bugprone-sizeof-expression'\nHeaderFilterRegex: '.*'\n",
            "core/base/a.cc": "int F() { return 0; }\n",
            "core/base/b.cc": '#include "core/base/c.h"\nint G() { return kC; }\n',
            "core/base/c.h": "constexpr int kC = 1;\n",
        })
        build = self.write_database("ab")
        self.assertEqual(check("tidy_core", self.root, build), [])
        passed = sorted((build / "clang-tidy-passed").iterdir())
        self.assertEqual(len(passed), 2)
        self.assertEqual(check("tidy_core", self.root, build), [])
        self.assertEqual(sorted((build / "clang-tidy-passed").iterdir()), passed)
        # The header decides over the source that includes it.
        self.write({"core/base/c.h": "struct P; constexpr int kC = sizeof(sizeof(int*));\n"})
        self.assertIn("bugprone-sizeof-expression", str(check("tidy_core", self.root, build)))
        self.assertIn("bugprone-sizeof-expression", str(check("tidy_core", self.root, build)))


if __name__ == "__main__":
    unittest.main()
