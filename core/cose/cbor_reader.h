// Strict decoding of deterministic CBOR (RFC 8949, section 4.2.1), item by item and without copies.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/limits.h"

namespace keystead::cose {

enum class CborType { kUint, kNegative, kBytes, kText, kArray, kMap, kTag, kBool, kNull };

struct CborOptions {
  size_t max_depth = limits::kMaxCborDepth;  // at most kMaxCborDepth
  size_t max_items = limits::kMaxCborItems;  // items of all kinds and depths together
  // For messages of other makers, in tools only: takes tags, unsorted keys and heads longer than needed.
  // Indefinite lengths, floats and duplicate keys stay refused (duplicates only through ParseCbor).
  bool lenient = false;
};

// Reads one item after the other. Refuses, with INVALID_ARGUMENT: indefinite lengths, heads longer than
// needed, map keys out of order or repeated, keys that are not integers or strings, depth or item count above
// the limits, counts beyond the bytes left, invalid UTF-8, floats, `undefined` and other simple values, tags.
// After an error every further call fails. Views stay valid as long as the input. Not thread-safe.
class CborReader {
 public:
  explicit CborReader(ByteView input, const CborOptions& options = {}) : in_(input), options_(options) {}

  absl::StatusOr<CborType> Peek();
  absl::StatusOr<uint64_t> ReadUint();
  absl::StatusOr<int64_t> ReadInt();                // also refuses what int64_t cannot hold
  absl::StatusOr<uint64_t> ReadNegativeArgument();  // n of -1 - n
  absl::StatusOr<ByteView> ReadBytes();
  absl::StatusOr<ByteView> ReadBytes(size_t exact_size);
  absl::StatusOr<std::string_view> ReadText();
  absl::StatusOr<bool> ReadBool();
  absl::Status ReadNull();
  absl::StatusOr<bool> TryNull();      // true: a null was there and is consumed
  absl::StatusOr<size_t> ReadArray();  // number of items
  absl::Status ReadArrayOf(size_t exact_items);
  absl::StatusOr<size_t> ReadMap();  // number of pairs
  absl::Status ReadMapOf(size_t exact_pairs);
  absl::StatusOr<uint64_t> ReadTag();     // lenient only
  absl::Status ExpectInt(int64_t value);  // a key or constant that must stand here
  absl::Status ExpectText(std::string_view value);
  absl::StatusOr<ByteView> ReadItem();  // the whole next item, checked, as encoded
  absl::Status Finish();                // nothing may be left

  template <class Id>
  absl::StatusOr<Id> ReadId() {
    auto bytes = ReadBytes(Id::kSize);
    if (!bytes.ok()) return bytes.status();
    return Id::FromBytes(*bytes);
  }
  size_t position() const { return at_; }

 private:
  struct Head {
    uint8_t major;
    uint64_t argument;
    size_t start;
  };
  struct Frame {
    uint64_t left;  // items, keys and values counted apart
    bool is_map;
    size_t key_start;
    size_t key_size;  // 0: no key seen yet
  };
  absl::Status Fail(std::string_view why);
  absl::Status Begin(Head& head);
  absl::Status BeginAs(uint8_t major, Head& head);
  absl::Status End(const Head& head);
  absl::Status Take(uint64_t size, ByteView& out);
  absl::Status Enter(const Head& head, bool is_map);
  absl::Status SkipItem();
  bool AtKey() const { return depth_ > 0 && frames_[depth_ - 1].is_map && frames_[depth_ - 1].left % 2 == 0; }

  ByteView in_;
  CborOptions options_;
  size_t at_ = 0;
  size_t items_ = 0;
  size_t depth_ = 0;
  bool failed_ = false;
  std::array<Frame, limits::kMaxCborDepth> frames_{};
};

}  // namespace keystead::cose
