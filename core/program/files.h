// Small files as a whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keystead {

// Writes `content` to `path` whole or not at all: a temporary name beside it, synced, renamed. Mode 0600.
absl::Status WriteFileAtomically(const std::string& path, std::string_view content);
// Makes durable which names a folder holds.
absl::Status SyncFolder(const std::string& path);
// NOT_FOUND, RESOURCE_EXHAUSTED above max_bytes, or what the system says.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

}  // namespace keystead
