// keystead-check-vectors FILE…: checks published test vectors against core/crypto and core/cose.
#include <cstdio>
#include <string_view>

#include "tests/vectors/check_vectors.h"

namespace {

constexpr char kUsage[] =
    "usage: keystead-check-vectors [--quiet] FILE...\n"
    "\n"
    "Checks published test vectors in their own formats, found out from the content:\n"
    "  RFC 9180 test-vectors.json; Wycheproof AES-GCM, ChaCha20-Poly1305, HKDF, HMAC, ECDH (points, SPKI,\n"
    "  JWK, PEM) and ECDSA (DER and P1363); cose-wg/Examples; messages of draft-ietf-cose-hpke, as JSON or "
    "as\n"
    "  its testvectors.txt.\n"
    "Prints per file how many vectors passed, failed and are unsupported, with the reasons.\n"
    "Exit code: 0 nothing failed; 1 a vector failed, or a file is unreadable or of unknown format; 2 "
    "usage.\n";
constexpr size_t kShownFailures = 20;

bool CheckOne(const char* path, bool quiet) {
  using keystead::vectors::UnsupportedName;
  const auto report = keystead::vectors::CheckFile(path);
  if (!report.ok()) {
    std::printf("%s: ERROR %.*s\n", path, static_cast<int>(report.status().message().size()),
                report.status().message().data());
    return false;
  }
  std::printf("%s: passed %zu, failed %zu, unsupported %zu\n", path, report->passed, report->failed,
              report->unsupported_count());
  if (!quiet) {
    for (const auto& [reason, count] : report->unsupported) {
      const std::string_view name = UnsupportedName(reason);
      std::printf("  unsupported %zu: %.*s\n", count, static_cast<int>(name.size()), name.data());
    }
  }
  for (size_t i = 0; i < report->failures.size() && i < kShownFailures; ++i) {
    std::printf("  FAILED %s\n", report->failures[i].c_str());
  }
  if (report->failures.size() > kShownFailures) {
    std::printf("  … and %zu more\n", report->failures.size() - kShownFailures);
  }
  return report->failed == 0;
}

}  // namespace

int main(int argc, char** argv) {
  bool quiet = false;
  bool good = true;
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--help" || arg == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (arg == "--quiet") {
      quiet = true;
      continue;
    }
    ++files;
    good = CheckOne(argv[i], quiet) && good;
  }
  if (files == 0) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  return good ? 0 : 1;
}
