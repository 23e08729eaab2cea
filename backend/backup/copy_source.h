// The bytes of a file that leaves the backend, made as they are sent.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace keystead::backend {

inline constexpr size_t kCopyChunkBytes = 256 << 10;

// One thread at a time.
class CopySource {
 public:
  virtual ~CopySource() = default;
  // About kCopyChunkBytes; empty behind the end. An error ends it: what was sent so far is no whole file.
  virtual absl::StatusOr<std::string> Next() = 0;
};

}  // namespace keystead::backend
