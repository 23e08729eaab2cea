// Reads one vector file, finds out what it is and checks it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/vectors/verdict.h"

namespace keystead::vectors {

// NOT_FOUND: unreadable. INVALID_ARGUMENT: no JSON, no known format, or a known format without a vector.
absl::StatusOr<Report> CheckText(std::string_view json);
absl::StatusOr<Report> CheckFile(const std::string& path);

}  // namespace keystead::vectors
