#include "core/membership/chain.h"

#include <algorithm>

namespace keystead {
namespace {

// The consent of exactly this new member to exactly this owner. The list is not under the owner's signature,
// so one that does not fit must not hide one that does.
absl::StatusOr<Acceptance> FindAcceptance(const CommitBundle& bundle, const SignedCommit& next,
                                          const RosterEntry& entry) {
  for (const Bytes& object : bundle.acceptances) {
    absl::StatusOr<Acceptance> acceptance = VerifyAcceptance(object, entry.ik);
    if (acceptance.ok() && acceptance->tenant == next.body.tenant && acceptance->id == next.body.id &&
        acceptance->owner_ckt == next.body.owner_ckt) {
      return acceptance;
    }
  }
  return absl::UnauthenticatedError("a member was added without its acceptance");
}

}  // namespace

const SignedCommit* MembershipChain::At(uint64_t epoch) const {
  const auto at = commits_.find(epoch);
  return at == commits_.end() ? nullptr : &at->second;
}

const RosterEntry* MembershipChain::LastKnown(const MemberId& member) const {
  for (auto it = commits_.rbegin(); it != commits_.rend(); ++it) {
    if (const RosterEntry* entry = it->second.body.roster.Find(member)) return entry;
  }
  return nullptr;
}

absl::Status MembershipChain::CheckSuccession(const CommitBundle& bundle, const SignedCommit& next) const {
  if (next.body.tenant != tenant_ || next.body.id != id_) {
    return absl::UnauthenticatedError("commit belongs to another instantiation");
  }
  const RosterEntry* owner = next.body.roster.Find(next.owner);
  if (owner == nullptr || owner->kind != MemberKind::kOwner || owner->ckt() != next.body.owner_ckt) {
    return absl::InvalidArgumentError("commit's roster does not hold its owner");
  }
  for (const Wrap& wrap : bundle.wraps) {
    const RosterEntry* to = next.body.roster.Find(wrap.member);
    if (to == nullptr || to->k.empty())
      return absl::InvalidArgumentError("a wrap is for nobody in the roster");
  }
  if (commits_.empty()) {
    if (next.body.epoch != 0) return absl::AbortedError("the first commit must be commit 0");
    if (DeriveInstantiationId(tenant_, next.body.owner_ckt, *next.body.nonce) != id_) {
      return absl::UnauthenticatedError("instantiation id does not follow from its owner");
    }
    return absl::OkStatus();
  }
  const SignedCommit& parent = head();
  const SignedCommit* known = At(next.body.epoch);
  if (known != nullptr && known->body.parent == next.body.parent && known->hash != next.hash) {
    return absl::AlreadyExistsError("fork: two commits with one parent");
  }
  if (next.body.epoch != parent.body.epoch + 1 || next.body.parent != parent.hash) {
    return absl::AbortedError("commit is not the successor of the head");
  }
  if (next.body.recovery_ckt != parent.body.recovery_ckt) {
    return absl::InvalidArgumentError("commit changes the recovery key");
  }
  return absl::OkStatus();
}

absl::StatusOr<CommitEffect> MembershipChain::EffectOf(const CommitBundle& bundle,
                                                       const SignedCommit& next) const {
  CommitEffect effect;
  const Roster empty;
  const Roster& before = commits_.empty() ? empty : roster();
  for (const RosterEntry& entry : next.body.roster.entries()) {
    const RosterEntry* known = LastKnown(entry.member);
    if (known != nullptr && (known->ckt() != entry.ckt() || known->kind != entry.kind)) {
      return absl::InvalidArgumentError("a member id was given to somebody else");
    }
    if (before.Find(entry.member) != nullptr) continue;
    effect.added.push_back(entry.member);
    // A courier has no key that could consent; the owner of commit 0 consents by signing it.
    if (entry.kind == MemberKind::kCourier || (commits_.empty() && entry.member == next.owner)) continue;
    KS_ASSIGN_OR_RETURN(Acceptance acceptance, FindAcceptance(bundle, next, entry));
    effect.acceptances.push_back(std::move(acceptance));
  }
  for (const RosterEntry& entry : before.entries()) {
    if (next.body.roster.Find(entry.member) == nullptr) effect.removed.push_back(entry.member);
  }
  return effect;
}

absl::StatusOr<CommitEffect> MembershipChain::Apply(const CommitBundle& bundle) {
  if (!commits_.empty() && bundle.CommitHash() == head().hash) {
    if (WrapsHash(bundle.wraps) != wraps_hash_of_head_)
      return absl::UnauthenticatedError("wraps are not the ones signed for");
    CommitEffect effect;
    effect.repeated = true;
    return effect;
  }
  const RosterEntry* owner = commits_.empty() ? nullptr : &this->owner();
  KS_ASSIGN_OR_RETURN(SignedCommit next, VerifyCommit(bundle, owner));
  KS_RETURN_IF_ERROR(CheckSuccession(bundle, next));
  KS_ASSIGN_OR_RETURN(CommitEffect effect, EffectOf(bundle, next));
  wraps_hash_of_head_ = WrapsHash(bundle.wraps);
  commits_.emplace(next.body.epoch, std::move(next));
  return effect;
}

}  // namespace keystead
