// What checking published test vectors comes to: passed, failed, or unsupported for a reason of a closed
// list.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace keystead::vectors {

// What Keystead does not implement and therefore cannot judge: this list and nothing else. Whatever is
// neither judged nor on it fails. Why each stands here:
// docs/decisions/0021-closed-list-of-unsupported-vectors.md.
enum class Unsupported {
  kOtherKem,
  kOtherAead,
  kAuthMode,
  kOtherCurve,
  kGcmIvSize,
  kCoseMac,
  kCoseMultiSigner,
  kCoseCountersignature,
  kCoseSignature,
  kCoseRecipient,
};

std::string_view UnsupportedName(Unsupported reason);

// Of one vector: OK and empty = passed, OK and a reason = unsupported, an error = failed, and why.
using Outcome = absl::StatusOr<std::optional<Unsupported>>;
inline constexpr std::nullopt_t kPassed = std::nullopt;

// Of one file.
struct Report {
  size_t passed = 0;
  size_t failed = 0;
  std::map<Unsupported, size_t> unsupported;
  std::vector<std::string> failures;  // one line each

  void Add(const std::string& name, const Outcome& outcome);
  size_t unsupported_count() const;
  size_t total() const { return passed + failed + unsupported_count(); }
};

}  // namespace keystead::vectors
