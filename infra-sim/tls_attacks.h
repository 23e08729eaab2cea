// What a relay without credentials can do: it sees TLS records (RFC 8446, section 5.1) and nothing inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/random.h"
#include "keystead/v1/infra.pb.h"

namespace keystead::infra {

inline constexpr size_t kTlsHeaderBytes = 5;
inline constexpr size_t kMaxTlsRecordBytes = kTlsHeaderBytes + (1 << 14) + 256;  // TLSCiphertext
inline constexpr uint8_t kTlsApplicationData = 23;

// Cuts a byte stream into whole records. Bytes that cannot be TLS (unknown type, length above the limit) are
// passed through as they are from there on, so that a relay of something else still relays.
class TlsRecordSplitter {
 public:
  // The records completed by `bytes`, headers included, in order; everything else is kept for later.
  std::vector<std::string> Feed(std::string_view bytes);
  bool is_tls() const { return is_tls_; }
  std::string TakeRest();  // an unfinished record, at the end of the stream

 private:
  std::string pending_;
  bool is_tls_ = true;
};

// The last records of application data, for replays and splices. Bounded by count.
class TlsMemory {
 public:
  void Remember(std::string_view record);
  const std::deque<std::string>& records() const { return records_; }

 private:
  std::deque<std::string> records_;
};

struct TlsMutation {
  std::vector<std::string> records;  // what is sent in its place, in order
  bool hold_back = false;            // send `records` after the record that follows
  bool close = false;                // then close the connection
  bool black_hole = false;           // and from here on swallow all of this direction
  absl::Duration delay;
  v1::Injection injection;  // attack, listener, direction and sequence left to the caller
};

// Attacks one record. Nothing when the attack does not apply: no application data (a damaged handshake shows
// nothing about data), or nothing remembered to replay. DROP leaves the record out, ACK_AND_DROP it and all
// that follow (TCP acknowledges both), TRUNCATE sends its first half and closes, MODIFY flips one bit of the
// payload, SPLICE puts another record in its place, FORGE one of random bytes, REPLAY and DUPLICATE add one.
std::optional<TlsMutation> MutateTls(std::string_view record, const v1::ArmRequest& attack,
                                     RandomSource& random, const TlsMemory& memory);

}  // namespace keystead::infra
