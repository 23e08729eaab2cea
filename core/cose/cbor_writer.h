// Deterministic CBOR encoding (RFC 8949, section 4.2.1): shortest heads, definite lengths. Appending; cheap.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/topic.h"

namespace keystead::cose {

// Appends items to a buffer of its own, or to one it is given. The caller announces containers first and must
// then write exactly that many items; map keys must be written in ascending order of their encoding
// (0, 1, …, 23, -1, …, -24), or through CborMap, which sorts. Not thread-safe.
class CborWriter {
 public:
  CborWriter() : out_(&own_) {}
  explicit CborWriter(Bytes& out) : out_(&out) {}
  CborWriter(const CborWriter&) = delete;
  CborWriter& operator=(const CborWriter&) = delete;

  CborWriter& Uint(uint64_t value) { return Head(0, value); }
  CborWriter& Int(int64_t value) {
    return value >= 0 ? Head(0, static_cast<uint64_t>(value)) : Head(1, ~static_cast<uint64_t>(value));
  }
  CborWriter& NegativeArgument(uint64_t n) { return Head(1, n); }  // the integer -1 - n
  CborWriter& Bstr(ByteView bytes);
  CborWriter& BstrHead(uint64_t size) { return Head(2, size); }  // the caller then appends `size` raw bytes
  CborWriter& Text(std::string_view utf8);
  CborWriter& Array(uint64_t items) { return Head(4, items); }
  CborWriter& Map(uint64_t pairs) { return Head(5, pairs); }
  CborWriter& Tag(uint64_t tag) { return Head(6, tag); }
  CborWriter& Bool(bool value);
  CborWriter& Null();
  CborWriter& Raw(ByteView encoded);  // already deterministic CBOR

  const Bytes& bytes() const { return *out_; }
  Bytes Take() { return std::move(*out_); }

 private:
  CborWriter& Head(uint8_t major, uint64_t argument);
  Bytes own_;
  Bytes* out_;
};

// What EncodeArray understands: bool, integers, text, byte strings, ids and topics, null for std::nullopt,
// nullptr and empty optionals. A std::string or string literal is text; Bytes, ByteView and ids are byte
// strings.
inline void EncodeOne(CborWriter& w, std::same_as<bool> auto value) { w.Bool(value); }
template <std::integral T>
requires(!std::same_as<T, bool>) void EncodeOne(CborWriter& w, T value) {
  if constexpr (std::unsigned_integral<T>) {
    w.Uint(value);
  } else {
    w.Int(value);
  }
}
inline void EncodeOne(CborWriter& w, const char* text) { w.Text(text); }
inline void EncodeOne(CborWriter& w, std::string_view text) { w.Text(text); }
inline void EncodeOne(CborWriter& w, const std::string& text) { w.Text(text); }
inline void EncodeOne(CborWriter& w, ByteView bytes) { w.Bstr(bytes); }
inline void EncodeOne(CborWriter& w, const Bytes& bytes) { w.Bstr(bytes); }
template <class Tag, size_t N>
void EncodeOne(CborWriter& w, const FixedBytes<Tag, N>& id) {
  w.Bstr(id.view());
}
inline void EncodeOne(CborWriter& w, const TenantName& tenant) { w.Text(tenant.str()); }
inline void EncodeOne(CborWriter& w, const Topic& topic) { w.Text(topic.str()); }
inline void EncodeOne(CborWriter& w, std::nullopt_t) { w.Null(); }
inline void EncodeOne(CborWriter& w, std::nullptr_t) { w.Null(); }
template <class T>
void EncodeOne(CborWriter& w, const std::optional<T>& value) {
  if (value.has_value()) {
    EncodeOne(w, *value);
  } else {
    w.Null();
  }
}

// The CBOR[a, b, …] of the protocol's labels and external AADs: EncodeArray("ks1 rec", tenant, id, 7).
template <class... Items>
Bytes EncodeArray(const Items&... items) {
  Bytes out;
  out.reserve(128);
  CborWriter w(out);
  w.Array(sizeof...(items));
  (EncodeOne(w, items), ...);
  return out;
}

// Collects pairs in any order and writes them sorted. A key set twice keeps the later value.
class CborMap {
 public:
  template <class Value>
  CborMap& Set(int64_t key, const Value& value) {
    CborWriter w;
    EncodeOne(w, value);
    return SetRaw(key, w.Take());
  }
  CborMap& SetRaw(int64_t key, Bytes encoded_value);
  void WriteTo(CborWriter& w) const;
  Bytes Encode() const;

 private:
  std::map<Bytes, Bytes> pairs_;  // by encoded key: bytewise order is the order of RFC 8949, section 4.2.1
};

}  // namespace keystead::cose
