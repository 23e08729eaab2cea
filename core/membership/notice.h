// Small signed words in `keyring`: the owner's head ("this is the newest commit") and a reader's probe ("echo
// this, so that I know you are alive now"). docs/protocol.md, "Heads and probes".
#pragma once

#include <array>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/crypto/p256.h"
#include "core/membership/signed_object.h"

namespace keystead {

struct ProbeNonceTag {
  static constexpr std::string_view kName = "probe nonce";
};
using ProbeNonce = FixedBytes<ProbeNonceTag, 8>;

struct Head {
  uint64_t epoch = 0;
  Digest commit_hash;
  uint64_t hseq = 0;  // rises with every head of an owner
  int64_t time = 0;   // seconds since 1970, for people
};

struct Probe {
  MemberId reader;
  ProbeNonce nonce;
  bool operator==(const Probe&) const = default;
};

// `place` is the keyring record they stand in: tenant, id, keyring, sender, stream, epoch, sequence.
absl::StatusOr<Bytes> SignHead(const crypto::EcdsaKeyPair& owner, const SignedPlace& place, const Head& head);
absl::StatusOr<Head> VerifyHead(ByteView object, const crypto::EcdsaPublicKey& owner,
                                const SignedPlace& place);
absl::StatusOr<Bytes> SignProbe(const crypto::EcdsaKeyPair& reader, const SignedPlace& place,
                                const Probe& probe);
// UNAUTHENTICATED also when the probe names a reader other than the sender of the record.
absl::StatusOr<Probe> VerifyProbe(ByteView object, const crypto::EcdsaPublicKey& reader,
                                  const SignedPlace& place);

}  // namespace keystead
