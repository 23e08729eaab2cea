// Numbers as they stand in keys, rows and headers: big-endian, so that bytewise order is numeric order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace keystead {

// The lowest `bytes` of a number, appended.
inline void PutNumber(std::string& out, uint64_t value, size_t bytes = 8) {
  for (size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}
// Of at most 8 bytes.
inline uint64_t GetNumber(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

}  // namespace keystead
