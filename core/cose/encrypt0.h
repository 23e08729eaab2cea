// COSE_Encrypt0 with AES-256-GCM (RFC 9052, section 5.2): the shape of every record.
//   [ << {1: 3} >>, {4: kid, 6: Partial IV}, ciphertext ‖ tag ]        untagged; docs/cose.md, "Encrypt0"
// Guarantees what AES-256-GCM does, for plaintext, protected header and external AAD. kid and Partial IV are
// not protected by COSE: the caller binds them, through the key, the nonce and the external AAD.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/crypto/aead.h"

namespace keystead::cose {

inline constexpr size_t kMaxKidBytes = 64;
inline constexpr size_t kMaxPartialIvBytes = 8;

// Views into the object parsed.
struct Encrypt0View {
  ByteView protected_bytes;  // as received, never re-encoded
  ByteView kid;              // 1 to kMaxKidBytes
  ByteView partial_iv;       // 1 to kMaxPartialIvBytes, minimal
  ByteView ciphertext;       // with tag
  uint64_t sequence;         // the Partial IV as a number
};

// INVALID_ARGUMENT for anything but the shape above, including trailing bytes, a tag and other headers.
absl::StatusOr<Encrypt0View> ParseEncrypt0(ByteView object);

// Appends one object to `out`, writing the ciphertext in place. INVALID_ARGUMENT for an empty or long kid.
absl::Status AppendEncrypt0(crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, ByteView kid,
                            uint64_t sequence, ByteView external_aad, ByteView plaintext, Bytes& out);
absl::Status AppendEncrypt0(crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, ByteView kid,
                            uint64_t sequence, ByteView external_aad, ByteView plaintext, std::string& out);
// Appends the plaintext to `out`. DATA_LOSS (crypto::OpenFailed) leaves `out` as it was.
absl::Status OpenEncrypt0(crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, const Encrypt0View& object,
                          ByteView external_aad, Bytes& out);

size_t Encrypt0Size(size_t kid_bytes, uint64_t sequence, size_t plaintext_bytes);

// Enc_structure (RFC 9052, section 5.3) for context "Encrypt0", "Encrypt", …; a protected h'a0' counts as
// h''.
Bytes EncStructure(std::string_view context, ByteView protected_bytes, ByteView external_aad);

}  // namespace keystead::cose
