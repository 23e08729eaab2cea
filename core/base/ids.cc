#include "core/base/ids.h"

namespace keystead {

absl::StatusOr<TenantName> TenantName::Parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("tenant name is not a lower-case DNS name: ", Absl(why)));
  };
  if (text.size() < 3 || text.size() > 253) return bad("its length must be 3 to 253");
  size_t label = 0;
  size_t labels = 1;
  char previous = '.';
  for (char c : text) {
    if (c == '.') {
      if (label == 0 || previous == '-') return bad("a label is empty or ends in '-'");
      ++labels;
      label = 0;
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && label > 0)) {
      if (++label > 63) return bad("a label is longer than 63");
    } else {
      return bad("only a-z, 0-9, '-' and '.' are allowed");
    }
    previous = c;
  }
  if (label == 0 || previous == '-') return bad("a label is empty or ends in '-'");
  if (labels < 2) return bad("it needs at least two labels");
  // An address such as 10.0.0.1 is no domain: certificate name constraints would not bind it.
  const std::string_view last = text.substr(text.rfind('.') + 1);
  if (last.find_first_not_of("0123456789") == std::string_view::npos)
    return bad("its last label is a number");
  TenantName out;
  out.name_ = std::string(text);
  return out;
}

}  // namespace keystead
