// A store's folder as files: what any user of the machine does with cp.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace keystead::hostile_host {

// ALREADY_EXISTS: `to` is there. Of a running store files may come and go meanwhile: what is gone when its
// turn comes is left out, and the copy opens as after a crash, or, when a table went, not at all.
absl::Status CopyFolder(const std::string& from, const std::string& to);
// `to` becomes a copy of `from`, which stays. Nothing may have `to` open.
absl::Status ReplaceFolder(const std::string& from, const std::string& to);

}  // namespace keystead::hostile_host
