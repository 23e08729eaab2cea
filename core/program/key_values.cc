#include "core/program/key_values.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/bytes.h"

namespace keystead {

absl::StatusOr<KeyValues> ParseKeyValues(std::string_view text, const std::vector<std::string>& required,
                                         const std::vector<std::string>& optional) {
  KeyValues out;
  for (const absl::string_view part : absl::StrSplit(Absl(text), ',')) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    const auto known = [&](const std::vector<std::string>& keys) {
      return std::find(keys.begin(), keys.end(), pair.first) != keys.end();
    };
    if (!known(required) && !known(optional)) {
      return absl::InvalidArgumentError(absl::StrCat("unknown key '", pair.first, "'"));
    }
    if (pair.second.empty()) return absl::InvalidArgumentError(absl::StrCat(pair.first, " is empty"));
    if (!out.insert(pair).second) {
      return absl::InvalidArgumentError(absl::StrCat(pair.first, " stands there twice"));
    }
  }
  for (const std::string& key : required) {
    if (out.count(key) == 0) return absl::InvalidArgumentError(absl::StrCat(key, "=… is missing"));
  }
  return out;
}

}  // namespace keystead
