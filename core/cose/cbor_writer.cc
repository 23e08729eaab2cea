#include "core/cose/cbor_writer.h"

#include <utility>

namespace keystead::cose {
namespace {

constexpr uint8_t kFalse = 0xf4;
constexpr uint8_t kTrue = 0xf5;
constexpr uint8_t kNull = 0xf6;

}  // namespace

// RFC 8949, section 4.2.1: the argument in the fewest bytes.
CborWriter& CborWriter::Head(uint8_t major, uint64_t argument) {
  const uint8_t type = static_cast<uint8_t>(major << 5);
  if (argument < 24) {
    out_->push_back(static_cast<uint8_t>(type | argument));
    return *this;
  }
  uint8_t width_code = 27;
  if (argument <= UINT8_MAX) {
    width_code = 24;
  } else if (argument <= UINT16_MAX) {
    width_code = 25;
  } else if (argument <= UINT32_MAX) {
    width_code = 26;
  }
  out_->push_back(type | width_code);
  for (int shift = (8 << (width_code - 24)) - 8; shift >= 0; shift -= 8) {
    out_->push_back(static_cast<uint8_t>(argument >> shift));
  }
  return *this;
}

CborWriter& CborWriter::Bstr(ByteView bytes) {
  Head(2, bytes.size());
  Append(*out_, bytes);
  return *this;
}

CborWriter& CborWriter::Text(std::string_view utf8) {
  Head(3, utf8.size());
  Append(*out_, AsBytes(utf8));
  return *this;
}

CborWriter& CborWriter::Bool(bool value) {
  out_->push_back(value ? kTrue : kFalse);
  return *this;
}

CborWriter& CborWriter::Null() {
  out_->push_back(kNull);
  return *this;
}

CborWriter& CborWriter::Raw(ByteView encoded) {
  Append(*out_, encoded);
  return *this;
}

CborMap& CborMap::SetRaw(int64_t key, Bytes encoded_value) {
  CborWriter w;
  w.Int(key);
  pairs_.insert_or_assign(w.Take(), std::move(encoded_value));
  return *this;
}

void CborMap::WriteTo(CborWriter& w) const {
  w.Map(pairs_.size());
  for (const auto& [key, value] : pairs_) w.Raw(key).Raw(value);
}

Bytes CborMap::Encode() const {
  CborWriter w;
  WriteTo(w);
  return w.Take();
}

}  // namespace keystead::cose
