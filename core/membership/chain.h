// The succession of an instantiation's commits: what makes the next one valid, and what refuses it. Used
// alike by members, gateway and the blind backend. docs/protocol.md, "Succession".
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/membership/acceptance.h"
#include "core/membership/commit.h"

namespace keystead {

// What a commit brought that its parent did not have.
struct CommitEffect {
  std::vector<MemberId> added;
  std::vector<MemberId> removed;
  std::vector<Acceptance> acceptances;  // verified; for the register of device ownership
  bool repeated = false;                // the head itself came again: nothing changed
};

// Keeps the head and the roster of every epoch seen. Not thread-safe. Copyable: verify on a copy, then keep
// it; copies share the commits.
class MembershipChain {
 public:
  MembershipChain(TenantName tenant, InstantiationId id) : tenant_(std::move(tenant)), id_(id) {}

  // Verifies that `bundle` is the successor of the head (or commit 0 when there is none) and takes it. On any
  // other answer nothing changes:
  //   INVALID_ARGUMENT, UNAUTHENTICATED  malformed, of another place, badly signed, an added member without
  //                                      acceptance, an acceptance that no added member needs (the list is
  //                                      not signed: whoever carries the bundle could make it long), a member
  //                                      id given to somebody else
  //   ABORTED                            its parent is not the head (older, or of a future not seen yet)
  //   ALREADY_EXISTS                     fork: another commit with the parent of one taken
  absl::StatusOr<CommitEffect> Apply(const CommitBundle& bundle);

  bool empty() const { return commits_.empty(); }
  const TenantName& tenant() const { return tenant_; }
  const InstantiationId& id() const { return id_; }
  // Only when not empty.
  const SignedCommit& head() const { return *commits_.rbegin()->second; }
  uint64_t epoch() const { return head().body.epoch; }
  const Roster& roster() const { return head().body.roster; }
  const RosterEntry& owner() const { return *roster().Find(head().owner); }
  // Null when that epoch was not seen.
  const SignedCommit* At(uint64_t epoch) const;
  // Who `member` was when it last belonged; null when it never did.
  const RosterEntry* LastKnown(const MemberId& member) const;

 private:
  absl::Status CheckSuccession(const CommitBundle& bundle, const SignedCommit& next) const;
  absl::StatusOr<CommitEffect> EffectOf(const CommitBundle& bundle, const SignedCommit& next) const;

  TenantName tenant_;
  InstantiationId id_;
  std::map<uint64_t, std::shared_ptr<const SignedCommit>> commits_;
  absl::flat_hash_map<MemberId, const RosterEntry*> last_known_;  // into commits_
};

}  // namespace keystead
