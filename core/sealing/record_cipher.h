// One record sealed and opened: COSE_Encrypt0 under the key of its stream, every outer field bound as
// external AAD. docs/protocol.md, "Records".
//   key(32) ‖ base_iv(12) ‖ kid(8) from Expand(S, ["ks1 stream", stream_id]);  nonce = base_iv XOR (0^4 ‖
//   seq)
#pragma once

#include <array>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/crypto/aead.h"
#include "core/sealing/key_schedule.h"

namespace keystead {

// The outer fields of a stream.
struct StreamPlace {
  TenantName tenant;
  InstantiationId id;
  Topic topic;
  MemberId sender;
  uint64_t epoch = 0;
  StreamId stream;
  bool operator==(const StreamPlace&) const = default;
};

inline constexpr size_t kKidBytes = 8;

// Holds the key of one stream. Does NOT detect replay and does not say who among the holders of the key
// sealed. Sealing one sequence twice breaks confidentiality: StreamWriter never does. Move-only, not
// thread-safe.
class RecordCipher {
 public:
  static absl::StatusOr<RecordCipher> Create(const SenderKey& key, const StreamPlace& place);

  // Appends the record to `out`.
  absl::Status Seal(uint64_t sequence, ByteView plaintext, Bytes& out);
  // Replaces `plaintext`. DATA_LOSS when the record is not the one sealed at this place and sequence.
  absl::Status Open(uint64_t sequence, ByteView record, Bytes& plaintext);

  const std::array<uint8_t, kKidBytes>& kid() const { return kid_; }

  // Opens under this stream's key but with the outer fields of `claimed`: shows that the AAD alone binds each
  // of them, whatever the key schedule does. For evidence and tests.
  absl::Status OpenAs(const StreamPlace& claimed, uint64_t sequence, ByteView record, Bytes& plaintext);

 private:
  RecordCipher(crypto::Aes256Gcm aead, const StreamPlace& place);
  absl::Status OpenWith(ByteView aad, uint64_t sequence, ByteView record, Bytes& plaintext);
  crypto::AeadNonce NonceFor(uint64_t sequence) const;
  ByteView AadFor(uint64_t sequence);

  crypto::Aes256Gcm aead_;
  crypto::AeadNonce base_iv_{};
  std::array<uint8_t, kKidBytes> kid_{};
  Bytes aad_;  // CBOR up to the sequence, then the sequence of the last call
  size_t aad_prefix_ = 0;
};

}  // namespace keystead
