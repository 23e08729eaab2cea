// One generation of an instantiation's membership: what the owner signs, and the wrapped secrets that travel
// beside it. docs/protocol.md, "Commits".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/crypto/p256.h"
#include "core/membership/roster.h"

namespace keystead {

struct CommitBody {
  TenantName tenant;
  InstantiationId id;
  uint64_t epoch = 0;
  std::optional<Digest> parent;        // hash of the whole parent commit; none for commit 0
  std::optional<Digest> nonce;         // 32 random bytes behind the id; commit 0 only
  Digest owner_ckt;                    // who signs
  std::optional<Digest> recovery_ckt;  // thumbprint of rk, set in commit 0 and carried on
  Roster roster;
  int64_t time = 0;  // seconds since 1970, for people

  Bytes Encode() const;
  static absl::StatusOr<CommitBody> Parse(ByteView encoded);  // INVALID_ARGUMENT
};

// SHA-256(CBOR["ks1 id", tenant, ckt(IK_A), nonce])[0..16].
InstantiationId DeriveInstantiationId(const TenantName& tenant, const Digest& owner_ckt, const Digest& nonce);

// What a wrap holds. The name is bound into the wrap's external AAD.
enum class WrapKind : uint8_t {
  kCommitSecret = 0,  // to a full member that stays
  kJoiner = 1,        // to a new full member
  kGrants = 2,        // to a limited member: exactly the T and S it is granted
};
std::string_view WrapKindName(WrapKind kind);

struct Wrap {
  MemberId member;
  WrapKind kind = WrapKind::kGrants;
  bool first = false;  // mode_psk: the member's first wrap, under its join secret
  Bytes sealed;        // COSE_Encrypt with HPKE-7-KE
};

// As it stands in keyring: ["commit", << [commit, [wraps], [acceptances]] >>].
struct CommitBundle {
  Bytes commit;                    // Sign1 of kind "commit" over [<< body >>, wraps hash]
  std::vector<Wrap> wraps;         // sorted by member
  std::vector<Bytes> acceptances;  // one for each member that is new with keys of its own

  Bytes EncodeContent() const;                                         // the whole keyring record
  static absl::StatusOr<CommitBundle> ParseContent(ByteView content);  // INVALID_ARGUMENT, incl. above limits
  Digest CommitHash() const;                                           // of the signed commit
};

Digest WrapsHash(const std::vector<Wrap>& wraps);

absl::StatusOr<Bytes> SignCommit(const crypto::EcdsaKeyPair& owner, const MemberId& owner_member,
                                 const CommitBody& body, const Digest& wraps_hash);

// A commit whose signature, place and wraps hash were verified with the key of the roster it names itself.
// Says nothing about succession: see MembershipChain.
struct SignedCommit {
  CommitBody body;
  Bytes body_bytes;  // as signed: the key schedule hashes these
  Digest hash;       // of the whole commit
  Digest wraps_hash;
  MemberId owner;
};

// `owner` is whose key to verify with: of the parent's roster for commit n, null for commit 0, which names
// its own. INVALID_ARGUMENT or UNAUTHENTICATED.
absl::StatusOr<SignedCommit> VerifyCommit(const CommitBundle& bundle, const RosterEntry* owner);

}  // namespace keystead
