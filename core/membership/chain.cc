#include "core/membership/chain.h"

#include <utility>

namespace keystead {
namespace {

bool IsSameMember(const RosterEntry& a, const RosterEntry& b) {
  if (a.kind != b.kind || a.ik.empty() != b.ik.empty()) return false;
  return a.ik.empty() || a.ik.point() == b.ik.point();
}

// The consent of each of these new members to exactly this owner, and no other: the list is not under the
// owner's signature, so a courier could lengthen it at everybody's cost. One look at each object, one
// signature for each member.
absl::StatusOr<std::vector<Acceptance>> VerifyConsent(const CommitBundle& bundle, const CommitBody& body,
                                                      const std::vector<const RosterEntry*>& added) {
  if (bundle.acceptances.size() > added.size())
    return absl::InvalidArgumentError("an acceptance that no new member needs");
  absl::flat_hash_map<Digest, const Bytes*> objects;
  for (const Bytes& object : bundle.acceptances) {
    if (const absl::StatusOr<Digest> ckt = UnverifiedDeviceCkt(object); ckt.ok())
      objects.emplace(*ckt, &object);
  }
  std::vector<Acceptance> out;
  for (const RosterEntry* entry : added) {
    const auto object = objects.find(entry->ckt());
    absl::StatusOr<Acceptance> acceptance = absl::UnauthenticatedError("none");
    if (object != objects.end()) acceptance = VerifyAcceptance(*object->second, entry->ik);
    if (!acceptance.ok() || acceptance->tenant != body.tenant || acceptance->id != body.id ||
        acceptance->owner_ckt != body.owner_ckt) {
      return absl::UnauthenticatedError("a member was added without its acceptance");
    }
    out.push_back(*std::move(acceptance));
  }
  return out;
}

}  // namespace

const SignedCommit* MembershipChain::At(uint64_t epoch) const {
  const auto at = commits_.find(epoch);
  return at == commits_.end() ? nullptr : at->second.get();
}

const RosterEntry* MembershipChain::LastKnown(const MemberId& member) const {
  const auto at = last_known_.find(member);
  return at == last_known_.end() ? nullptr : at->second;
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
  std::vector<const RosterEntry*> asked;
  for (const RosterEntry& entry : next.body.roster.entries()) {
    const RosterEntry* known = LastKnown(entry.member);
    if (known != nullptr && !IsSameMember(*known, entry)) {
      return absl::InvalidArgumentError("a member id was given to somebody else");
    }
    if (before.Find(entry.member) != nullptr) continue;
    effect.added.push_back(entry.member);
    // A courier has no key that could consent; the owner of commit 0 consents by signing it.
    if (entry.kind == MemberKind::kCourier || (commits_.empty() && entry.member == next.owner)) continue;
    asked.push_back(&entry);
  }
  KS_ASSIGN_OR_RETURN(effect.acceptances, VerifyConsent(bundle, next.body, asked));
  for (const RosterEntry& entry : before.entries()) {
    if (next.body.roster.Find(entry.member) == nullptr) effect.removed.push_back(entry.member);
  }
  return effect;
}

absl::StatusOr<CommitEffect> MembershipChain::Apply(const CommitBundle& bundle) {
  if (!commits_.empty() && bundle.CommitHash() == head().hash) {
    if (WrapsHash(bundle.wraps) != head().wraps_hash)
      return absl::UnauthenticatedError("wraps are not the ones signed for");
    CommitEffect effect;
    effect.repeated = true;
    return effect;
  }
  const RosterEntry* owner = commits_.empty() ? nullptr : &this->owner();
  KS_ASSIGN_OR_RETURN(SignedCommit next, VerifyCommit(bundle, owner));
  KS_RETURN_IF_ERROR(CheckSuccession(bundle, next));
  KS_ASSIGN_OR_RETURN(CommitEffect effect, EffectOf(bundle, next));
  const auto taken = std::make_shared<const SignedCommit>(std::move(next));
  for (const RosterEntry& entry : taken->body.roster.entries()) last_known_[entry.member] = &entry;
  commits_.emplace(taken->body.epoch, taken);
  return effect;
}

}  // namespace keystead
