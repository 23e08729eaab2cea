// A sender's stream: an unbroken run of sealed records under a key that no one has used before.
// docs/protocol.md, "Streams".
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/sealing/content.h"
#include "core/sealing/record_cipher.h"

namespace keystead {

// h_0 of a stream: SHA-256(CBOR["ks1 run", tenant, id, topic, sender, stream_id, epoch]).
Digest InitialRunningHash(const StreamPlace& place);
// h_{k+1} = SHA-256(h_k ‖ SHA-256(record_k)).
Digest NextRunningHash(const Digest& hash, const Digest& record_hash);

// The stream id is drawn from `random` at Open and never stored for further use, so a power cut, a restored
// disk or a clone cannot repeat a nonce. Every function that seals appends exactly one record to `out` and
// returns its sequence. Once limits are reached sealing answers RESOURCE_EXHAUSTED: open the next stream. Not
// thread-safe.
class StreamWriter {
 public:
  struct Config {
    TenantName tenant;
    InstantiationId id;
    Topic topic;
    MemberId sender;
    uint64_t epoch = 0;
    limits::StreamLimits limits;
  };

  // Seals the opening as record 0 into `out`. `clock` and `ik` must outlive the writer.
  static absl::StatusOr<std::unique_ptr<StreamWriter>> Open(const Config& config, const SenderKey& key,
                                                            const crypto::EcdsaKeyPair& ik,
                                                            const Opening& opening, const Clock& clock,
                                                            RandomSource& random, Bytes& out);

  // Readings. INVALID_ARGUMENT for any other kind, and in topics whose records are signed one by one.
  absl::StatusOr<uint64_t> Seal(std::string_view kind, ByteView body, Bytes& out);
  absl::StatusOr<uint64_t> SealSigned(std::string_view kind, ByteView payload, Bytes& out);
  absl::StatusOr<uint64_t> SealCheckpoint(const Freshness& freshness, bool end, Bytes& out);

  bool CheckpointDue() const;              // records or time since the last one reached their limit
  absl::Duration UntilCheckpoint() const;  // zero when due
  bool Exhausted() const;                  // room is left for one closing checkpoint only
  bool ended() const { return ended_; }
  const StreamPlace& place() const { return place_; }
  uint64_t next_sequence() const { return next_; }
  // For the opening of the stream after this one.
  PreviousStream AsPrevious() const;

 private:
  StreamWriter(const Config& config, const StreamPlace& place, RecordCipher cipher,
               const crypto::EcdsaKeyPair& ik, const Clock& clock);
  absl::Status CheckRoom(size_t content_bytes) const;
  absl::StatusOr<uint64_t> SignAndAppend(std::string_view kind, ByteView payload, Bytes& out);
  absl::StatusOr<uint64_t> Append(ByteView content, Bytes& out);

  const StreamPlace place_;
  const limits::StreamLimits limits_;
  RecordCipher cipher_;
  const crypto::EcdsaKeyPair& ik_;
  const Clock& clock_;
  const absl::Duration opened_;
  Digest hash_;
  uint64_t next_ = 0;
  uint64_t bytes_ = 0;
  uint64_t since_checkpoint_ = 0;
  absl::Duration last_checkpoint_;
  bool ended_ = false;
  Bytes content_;
};

}  // namespace keystead
