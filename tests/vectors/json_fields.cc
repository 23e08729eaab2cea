#include "tests/vectors/json_fields.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead::vectors {
namespace {

absl::Status Bad(std::string_view name, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("field ", Absl(name), " ", Absl(why)));
}

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-' || c == '+') return 62;
  if (c == '_' || c == '/') return 63;
  return -1;
}

}  // namespace

const Json* FindField(const Json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(std::string(name));
  return it == object.end() ? nullptr : &*it;
}

absl::StatusOr<const Json*> Field(const Json& object, std::string_view name) {
  const Json* const field = FindField(object, name);
  if (field == nullptr) return Bad(name, "is missing");
  return field;
}

absl::StatusOr<std::string> TextField(const Json& object, std::string_view name) {
  KS_ASSIGN_OR_RETURN(const Json* field, Field(object, name));
  if (!field->is_string()) return Bad(name, "is no string");
  return field->get_ref<const std::string&>();
}

absl::StatusOr<Bytes> HexField(const Json& object, std::string_view name) {
  KS_ASSIGN_OR_RETURN(const std::string text, TextField(object, name));
  auto bytes = FromHex(text);
  if (!bytes.ok()) return Bad(name, "is no hex");
  return bytes;
}

absl::StatusOr<Bytes> NumberField(const Json& object, std::string_view name) {
  KS_ASSIGN_OR_RETURN(std::string text, TextField(object, name));
  if (text.size() % 2 != 0) text.insert(text.begin(), '0');
  auto bytes = FromHex(text);
  if (!bytes.ok()) return Bad(name, "is no hex");
  return bytes;
}

absl::StatusOr<int64_t> IntField(const Json& object, std::string_view name) {
  KS_ASSIGN_OR_RETURN(const Json* field, Field(object, name));
  if (!field->is_number_integer()) return Bad(name, "is no integer");
  return field->get<int64_t>();
}

std::string TextOr(const Json& object, std::string_view name, std::string_view fallback) {
  const auto text = TextField(object, name);
  return text.ok() ? *text : std::string(fallback);
}

absl::StatusOr<Bytes> HexOrEmpty(const Json& object, std::string_view name) {
  if (FindField(object, name) == nullptr) return Bytes();
  return HexField(object, name);
}

absl::StatusOr<Bytes> FromBase64Url(std::string_view text) {
  Bytes out;
  uint32_t bits = 0;
  int count = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    const int digit = Base64Digit(c);
    if (digit < 0) return absl::InvalidArgumentError("not base64url");
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<uint8_t>(bits >> count));
    }
  }
  return out;
}

absl::StatusOr<Bytes> FixedSize(const Bytes& number, size_t size) {
  const auto first = std::find_if(number.begin(), number.end(), [](uint8_t b) { return b != 0; });
  const size_t digits = static_cast<size_t>(number.end() - first);
  if (digits > size) return absl::InvalidArgumentError("number is too long");
  Bytes out(size - digits, 0);
  out.insert(out.end(), first, number.end());
  return out;
}

}  // namespace keystead::vectors
