// Byte sequences: how they are named, viewed and shown. Nothing here is secret; see secret_bytes.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keystead {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;  // not owned; valid as long as what it views

// Debian's Abseil has a string_view of its own that does not convert to or from the standard one.
inline absl::string_view Absl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view Std(absl::string_view s) { return {s.data(), s.size()}; }

inline ByteView AsBytes(std::string_view s) { return {reinterpret_cast<const uint8_t*>(s.data()), s.size()}; }
inline std::string_view AsChars(ByteView b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }
inline std::string ToString(ByteView b) { return std::string(AsChars(b)); }
inline Bytes ToBytes(ByteView b) { return Bytes(b.begin(), b.end()); }
inline Bytes ToBytes(std::string_view s) { return ToBytes(AsBytes(s)); }
inline void Append(Bytes& to, ByteView more) { to.insert(to.end(), more.begin(), more.end()); }

std::string ToHex(ByteView bytes);  // lower case
// INVALID_ARGUMENT for an odd length or a character that is no hex digit; both cases are read.
absl::StatusOr<Bytes> FromHex(std::string_view hex);

bool Equal(ByteView a, ByteView b);  // not constant time: for public bytes only

}  // namespace keystead
