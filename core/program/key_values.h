// An option that says several things: "name=front,listen=127.0.0.1:0".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace keystead {

using KeyValues = std::map<std::string, std::string>;

// "a=1,b=2". INVALID_ARGUMENT unless each key is among `required` or `optional`, stands there once and has a
// value, and each required one is there.
absl::StatusOr<KeyValues> ParseKeyValues(std::string_view text, const std::vector<std::string>& required,
                                         const std::vector<std::string>& optional = {});

}  // namespace keystead
