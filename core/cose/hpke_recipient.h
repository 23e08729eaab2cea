// HPKE in COSE (draft-ietf-cose-hpke-27): integrated encryption (HPKE-7) and key encryption (HPKE-7-KE),
// modes base and psk, P-256 with HKDF-SHA256 and A256GCM. docs/cose.md, "HPKE". Mode base does not say who
// sent.
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/hpke.h"

namespace keystead::cose {

inline constexpr size_t kMaxRecipients = 1024;
inline constexpr size_t kMaxPskIdBytes = 64;

// Pointers and views are read during the call only.
struct HpkePsk {
  const SecretBytes* psk = nullptr;  // null: mode base. At least 32 bytes
  ByteView psk_id;                   // 1 to kMaxPskIdBytes when psk is given
};

struct HpkeBinding {
  ByteView external_aad;  // of the content layer
  ByteView info;          // HPKE info (integrated), or "extra" of Recipient_structure (key encryption)
  ByteView hpke_aad;      // key encryption only: AAD of the key's own seal
};

// COSE_Encrypt0: [ << {1: 45, ?-5: psk_id} >>, {?4: kid, -4: ek}, ciphertext ]. An empty kid is left out.
// INVALID_ARGUMENT as HpkeSetupS.
absl::StatusOr<Bytes> SealHpkeEncrypt0(const crypto::EcdhPublicKey& to, ByteView kid, const HpkePsk& psk,
                                       const HpkeBinding& binding, ByteView plaintext,
                                       const crypto::EcdhKeyPair* ephemeral_for_test = nullptr);
// INVALID_ARGUMENT for another shape; DATA_LOSS (crypto::OpenFailed) when it does not open, also when its
// mode or psk_id differ from `psk`.
absl::StatusOr<SecretBytes> OpenHpkeEncrypt0(ByteView object, const crypto::EcdhKeyPair& key,
                                             const HpkePsk& psk, const HpkeBinding& binding);

struct HpkeRecipientTo {
  crypto::EcdhPublicKey key;
  Bytes kid;  // protected; may be empty
  HpkePsk psk;
};

// COSE_Encrypt: [ << {1: 3} >>, {5: IV}, ciphertext, [+ recipient] ] under a fresh content key, where
// recipient = [ << {1: 53, ?4: kid, ?-5: psk_id} >>, {-4: ek}, sealed key ].
absl::StatusOr<Bytes> SealHpkeEncrypt(std::span<const HpkeRecipientTo> to, const HpkeBinding& binding,
                                      ByteView plaintext, RandomSource& random = RandomSource::System());
// Takes the recipients whose kid is `kid`, or all when `kid` is empty, and returns the content of the first
// that opens; at most 16 are tried. A kid may stand in either header. Errors as OpenHpkeEncrypt0.
absl::StatusOr<SecretBytes> OpenHpkeEncrypt(ByteView object, const crypto::EcdhKeyPair& key, ByteView kid,
                                            const HpkePsk& psk, const HpkeBinding& binding);

// Views into the object parsed, for readers that must look before they open.
struct HpkeRecipientView {
  ByteView protected_bytes;
  ByteView kid;     // empty: none
  ByteView psk_id;  // empty: mode base
  ByteView ek;
  ByteView ciphertext;
};
struct HpkeEncryptView {
  ByteView protected_bytes;
  ByteView iv;
  ByteView ciphertext;
  std::vector<HpkeRecipientView> recipients;
};
absl::StatusOr<HpkeEncryptView> ParseHpkeEncrypt(ByteView object);
absl::StatusOr<HpkeRecipientView> ParseHpkeEncrypt0(ByteView object);  // of the one layer there is

// Recipient_structure (the draft's section on key encryption), deterministic:
// ["HPKE Recipient", 3, recipient_protected, extra].
Bytes HpkeRecipientStructure(ByteView recipient_protected, ByteView extra);

}  // namespace keystead::cose
