// The secret side of a commit: the owner makes commit 0 and commit n+1, a member opens what is wrapped to it.
// docs/protocol.md, "Commits" and "Wraps".
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/random.h"
#include "core/membership/chain.h"
#include "core/sealing/key_ring.h"

namespace keystead {

// Who commits. Pointers are read during the call only.
struct OwnerIdentity {
  TenantName tenant;
  InstantiationId id;
  Digest nonce;  // behind the id; only used for commit 0
  MemberId member;
  std::string transport;
  const crypto::EcdsaKeyPair* ik = nullptr;
  const crypto::EcdhKeyPair* k = nullptr;
};

struct Newcomer {
  RosterEntry entry;
  std::optional<JoinSecret> join;  // none: a courier, which gets no secret
  Bytes acceptance;                // empty: a courier
};

struct CommitRequest {
  std::vector<Newcomer> add;
  std::vector<MemberId> remove;
  std::optional<Digest> recovery_ckt;  // commit 0 only; carried on afterwards
  int64_t time = 0;
};

struct NewCommit {
  CommitBundle bundle;
  EpochSecret secret;  // E of the new epoch
};

// The commit after the chain's head (commit 0 for an empty chain). `previous` is E of the head's epoch, null
// for commit 0. INVALID_ARGUMENT: adds somebody twice, removes the owner or somebody unknown, or the roster
// is malformed. RESOURCE_EXHAUSTED: longer than limits::kMaxCommitBytes. Apply the result to the chain and
// enter it only after the registry took it.
absl::StatusOr<NewCommit> MakeCommit(const MembershipChain& chain, const OwnerIdentity& owner,
                                     const EpochSecret* previous, const CommitRequest& request,
                                     RandomSource& random);

// What a device may do by default: write its telemetry and state, read its commands.
std::vector<Right> DefaultDeviceRights(const MemberId& device);

// What a member brings to open its wrap.
struct MemberSecrets {
  MemberId member;
  const crypto::EcdhKeyPair* k = nullptr;
  const JoinSecret* join = nullptr;  // until its first commit has opened
};

// Opens this member's part of the chain's head, which came as `bundle`, and enters the epoch in `ring`, which
// keeps the writing keys of `known_senders` for what is still on its way.
// DATA_LOSS: does not open. PERMISSION_DENIED: the head holds nothing for this member (it was removed).
absl::Status EnterCommit(const MembershipChain& chain, const CommitBundle& bundle, const MemberSecrets& self,
                         const std::vector<std::pair<Topic, MemberId>>& known_senders, KeyRing& ring);

}  // namespace keystead
