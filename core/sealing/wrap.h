// Secrets for one member, beside the commit that grants them. docs/protocol.md, "Wraps".
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/random.h"
#include "core/membership/commit.h"
#include "core/sealing/key_schedule.h"

namespace keystead {

// T of a topic, or S of one sender in it.
struct Grant {
  Topic topic;
  std::optional<MemberId> sender;  // none: the topic key T
  SecretBytes key;
};

// Where a wrap belongs: CBOR["ks1 wrap", tenant, id, epoch, member, kind, parent hash].
struct WrapPlace {
  TenantName tenant;
  InstantiationId id;
  uint64_t epoch = 0;
  std::optional<Digest> parent;
};

// The PSK of a member's first wrap: Expand(J, CBOR["ks1 add", id, member], 32).
absl::StatusOr<SecretBytes> FirstWrapPsk(const JoinSecret& join, const InstantiationId& id,
                                         const MemberId& member);

// `first_psk` null: mode base.
absl::StatusOr<Wrap> SealWrap(const WrapPlace& place, const MemberId& member, const crypto::EcdhPublicKey& to,
                              WrapKind kind, const SecretBytes* first_psk, const SecretBytes& content,
                              RandomSource& random);
// DATA_LOSS when it does not open: other member, place, key or PSK.
absl::StatusOr<SecretBytes> OpenWrap(const WrapPlace& place, const Wrap& wrap, const crypto::EcdhKeyPair& k,
                                     const SecretBytes* first_psk);

SecretBytes EncodeGrants(const std::vector<Grant>& grants);
absl::StatusOr<std::vector<Grant>> ParseGrants(const SecretBytes& encoded);  // INVALID_ARGUMENT

}  // namespace keystead
