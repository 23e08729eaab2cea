#include "tests/vectors/check_vectors.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/status.h"
#include "tests/vectors/formats.h"

namespace keystead::vectors {
namespace {

constexpr uintmax_t kMaxFileBytes = uintmax_t{256} << 20;

struct Format {
  bool (*is)(const Json&);
  Report (*check)(const Json&);
};

constexpr Format kFormats[] = {
    {IsHpke, CheckHpke},
    {IsWycheproof, CheckWycheproof},
    {IsCoseHpke, CheckCoseHpke},
    {IsCoseExample, CheckCoseExample},
};

}  // namespace

absl::StatusOr<Report> CheckText(std::string_view text) {
  Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) {
    if (!IsCoseHpkeText(text)) return absl::InvalidArgumentError("not JSON");
    KS_ASSIGN_OR_RETURN(root, CoseHpkeFromText(text));
  }
  for (const Format& format : kFormats) {
    if (!format.is(root)) continue;
    Report report = format.check(root);
    if (report.total() == 0) return absl::InvalidArgumentError("holds no test vector");
    return report;
  }
  return absl::InvalidArgumentError("unknown format");
}

absl::StatusOr<Report> CheckFile(const std::string& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return absl::NotFoundError("cannot be read: " + error.message());
  if (size > kMaxFileBytes) return absl::InvalidArgumentError("larger than 256 MiB");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return absl::NotFoundError("cannot be read");
  return CheckText(text.str());
}

}  // namespace keystead::vectors
