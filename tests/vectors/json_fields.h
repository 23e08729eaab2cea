// Reading JSON that may lack anything: every accessor says what is missing instead of throwing.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"

namespace keystead::vectors {

using Json = nlohmann::json;

const Json* FindField(const Json& object,
                      std::string_view name);  // null when absent or `object` is no object
absl::StatusOr<const Json*> Field(const Json& object, std::string_view name);
absl::StatusOr<std::string> TextField(const Json& object, std::string_view name);
absl::StatusOr<Bytes> HexField(const Json& object, std::string_view name);
// A number in hex, whose leading zero the older files leave out.
absl::StatusOr<Bytes> NumberField(const Json& object, std::string_view name);
absl::StatusOr<int64_t> IntField(const Json& object, std::string_view name);
std::string TextOr(const Json& object, std::string_view name, std::string_view fallback);
absl::StatusOr<Bytes> HexOrEmpty(const Json& object, std::string_view name);
absl::StatusOr<Bytes> FromBase64Url(std::string_view text);  // padding optional, '+' and '/' read too
// A big-endian number as exactly `size` bytes: leading zeros added or dropped.
absl::StatusOr<Bytes> FixedSize(const Bytes& number, size_t size);

}  // namespace keystead::vectors
