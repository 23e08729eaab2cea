// Where what must be shown once goes: onto a terminal, or into a new file that only its owner may read.
#pragma once

#include <string>
#include <string_view>

#include "mobile-stub/membership.h"

namespace keystead::mobile {

// A new file of mode 0600 with the text and a line end, durable; ALREADY_EXISTS and the like from the system,
// and then no file is left behind. `what` is named in errors.
absl::Status WriteSecretLine(const std::string& path, const SecretBytes& text, std::string_view what);

// Into the file; onto standard error, which the caller has found to be a terminal, where `path` is empty.
RecoverySink RecoveryOutput(const std::string& path);

}  // namespace keystead::mobile
