// The few pieces of the protobuf encoding that the data path writes and reads by hand (protobuf.dev,
// "Encoding").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keystead::wire {

constexpr uint8_t VarintTag(int field) { return static_cast<uint8_t>(field << 3); }
constexpr uint8_t BytesTag(int field) { return static_cast<uint8_t>(field << 3 | 2); }

constexpr size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

inline void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void PutBytes(std::string& out, int field, std::string_view bytes) {
  out.push_back(static_cast<char>(BytesTag(field)));
  PutVarint(out, bytes.size());
  out.append(bytes);
}

// Zero is left out, as proto3 does.
inline void PutNumber(std::string& out, int field, uint64_t value) {
  if (value == 0) return;
  out.push_back(static_cast<char>(VarintTag(field)));
  PutVarint(out, value);
}

// Walks an encoding from the front. Every function leaves the reader where it was when it answers no.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool done() const { return at_ == end_; }
  const char* position() const { return at_; }

  // Takes the one-byte tag if it is next.
  bool Tag(uint8_t tag) {
    if (at_ == end_ || static_cast<uint8_t>(*at_) != tag) return false;
    ++at_;
    return true;
  }

  // The shortest encoding of a 64-bit number only.
  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    const char* at = at_;
    for (int shift = 0; at != end_ && shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at++);
      if (shift == 63 && byte > 1) return std::nullopt;  // more than 64 bits
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) return std::nullopt;  // a longer way to write it
        at_ = at;
        return value;
      }
    }
    return std::nullopt;
  }

  // Length and that many bytes; no when the length is above `max` or reaches past the end.
  std::optional<std::string_view> LengthAndBytes(size_t max) {
    const char* const start = at_;
    const std::optional<uint64_t> length = Varint();
    if (!length || *length > max || *length > static_cast<size_t>(end_ - at_)) {
      at_ = start;
      return std::nullopt;
    }
    const std::string_view out(at_, static_cast<size_t>(*length));
    at_ += *length;
    return out;
  }

 private:
  const char* at_;
  const char* const end_;
};

}  // namespace keystead::wire
