#include "core/sealing/commit_secrets.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/mutants.h"
#include "core/cose/cose_key.h"
#include "core/crypto/hash.h"

namespace keystead {
namespace {

absl::StatusOr<std::vector<RosterEntry>> NextRoster(const MembershipChain& chain, const OwnerIdentity& owner,
                                                    const CommitRequest& request) {
  std::vector<RosterEntry> entries;
  if (chain.empty()) {
    RosterEntry self;
    self.member = owner.member;
    self.kind = MemberKind::kOwner;
    self.transport = owner.transport;
    self.ik = owner.ik->public_key();
    self.k = owner.k->public_key();
    entries.push_back(std::move(self));
  } else {
    entries = chain.roster().entries();
  }
  for (const MemberId& member : request.remove) {
    if (member == owner.member) return absl::InvalidArgumentError("the owner cannot remove itself");
    if (std::erase_if(entries, [&](const RosterEntry& e) { return e.member == member; }) == 0) {
      return absl::InvalidArgumentError("nobody with this member id to remove");
    }
  }
  // Whose time is over is put out with whatever else changes.
  std::erase_if(entries, [&](const RosterEntry& e) {
    return e.member != owner.member && e.expires_at.has_value() && *e.expires_at <= request.time;
  });
  for (const Newcomer& newcomer : request.add) entries.push_back(newcomer.entry);
  return entries;
}

#ifdef KEYSTEAD_MUTANTS
// The mutant's: of all that devices measure.
absl::Status AddReadingKeys(const EpochSecret& secret, const CommitBody& body, std::vector<Grant>& grants) {
  for (const RosterEntry& entry : body.roster.entries()) {
    if (entry.kind != MemberKind::kDevice) continue;
    Grant grant;
    grant.topic = Topic::Of(TopicKind::kTelemetry, entry.member);
    KS_ASSIGN_OR_RETURN(const TopicKey key, DeriveTopicKey(secret, body.id, body.epoch, grant.topic));
    grant.key = key.secret().Clone();
    grants.push_back(std::move(grant));
  }
  return absl::OkStatus();
}
#endif

absl::StatusOr<std::vector<Grant>> GrantsFor(const RosterEntry& entry, const EpochSecret& secret,
                                             const CommitBody& body) {
  std::vector<Grant> grants;
  for (const Right& right : entry.rights) {
    KS_ASSIGN_OR_RETURN(const TopicKey topic, DeriveTopicKey(secret, body.id, body.epoch, right.topic));
    Grant grant;
    grant.topic = right.topic;
    if (right.read) {
      grant.key = topic.secret().Clone();
    } else {
      KS_ASSIGN_OR_RETURN(const SenderKey sender, DeriveSenderKey(topic, entry.member));
      grant.sender = entry.member;
      grant.key = sender.secret().Clone();
    }
    grants.push_back(std::move(grant));
  }
#ifdef KEYSTEAD_MUTANTS
  if (entry.kind == MemberKind::kGateway && MutantActive(Mutant::kGatewayHasKeys))
    KS_RETURN_IF_ERROR(AddReadingKeys(secret, body, grants));
#endif
  return grants;
}

// The wrap for one member, or none for a courier and for the owner who makes the commit.
absl::StatusOr<std::optional<Wrap>> WrapFor(const RosterEntry& entry, const CommitBody& body,
                                            const CommitSecret& commit_secret, const JoinerSecret& joiner,
                                            const EpochSecret& secret, const Newcomer* newcomer,
                                            RandomSource& random) {
  if (entry.kind == MemberKind::kCourier || entry.ckt() == body.owner_ckt) return std::optional<Wrap>();
  const WrapPlace place{body.tenant, body.id, body.epoch, body.parent};
  std::optional<SecretBytes> psk;
  if (newcomer != nullptr) {
    if (!newcomer->join.has_value())
      return absl::InvalidArgumentError("a newcomer with keys has no join secret");
    KS_ASSIGN_OR_RETURN(psk, FirstWrapPsk(*newcomer->join, body.id, entry.member));
  }
  WrapKind kind = WrapKind::kGrants;
  SecretBytes content;
  if (entry.kind == MemberKind::kOwner) {
    kind = newcomer != nullptr ? WrapKind::kJoiner : WrapKind::kCommitSecret;
    content = (newcomer != nullptr ? joiner.secret() : commit_secret.secret()).Clone();
  } else {
    KS_ASSIGN_OR_RETURN(const std::vector<Grant> grants, GrantsFor(entry, secret, body));
    content = EncodeGrants(grants);
  }
  KS_ASSIGN_OR_RETURN(Wrap wrap, SealWrap(place, entry.member, entry.k, kind,
                                          psk.has_value() ? &*psk : nullptr, content, random));
  return std::optional<Wrap>(std::move(wrap));
}

}  // namespace

absl::StatusOr<NewCommit> MakeCommit(const MembershipChain& chain, const OwnerIdentity& owner,
                                     const EpochSecret* previous, const CommitRequest& request,
                                     RandomSource& random) {
  CommitBody body;
  body.tenant = owner.tenant;
  body.id = owner.id;
  body.owner_ckt = cose::Ckt(owner.ik->public_key());
  body.time = request.time;
  if (chain.empty()) {
    body.nonce = owner.nonce;
    body.recovery_ckt = request.recovery_ckt;
  } else {
    if (previous == nullptr) return absl::InvalidArgumentError("the epoch secret of the head is missing");
    body.epoch = chain.epoch() + 1;
    body.parent = chain.head().hash;
    body.recovery_ckt = chain.head().body.recovery_ckt;
  }
  KS_ASSIGN_OR_RETURN(std::vector<RosterEntry> entries, NextRoster(chain, owner, request));
  KS_ASSIGN_OR_RETURN(body.roster, Roster::Create(std::move(entries)));

  const CommitSecret commit_secret(random.Secret(kSecretBytes));
  KS_ASSIGN_OR_RETURN(const JoinerSecret joiner, DeriveJoiner(previous, commit_secret));
  NewCommit out;
  KS_ASSIGN_OR_RETURN(out.secret,
                      DeriveEpochSecret(joiner, body.id, body.epoch, crypto::Sha256(body.Encode())));

  for (const RosterEntry& entry : body.roster.entries()) {
    const auto newcomer =
        std::ranges::find_if(request.add, [&](const Newcomer& n) { return n.entry.member == entry.member; });
    KS_ASSIGN_OR_RETURN(std::optional<Wrap> wrap,
                        WrapFor(entry, body, commit_secret, joiner, out.secret,
                                newcomer == request.add.end() ? nullptr : &*newcomer, random));
    if (wrap.has_value()) out.bundle.wraps.push_back(*std::move(wrap));
  }
  for (const Newcomer& newcomer : request.add) {
    if (!newcomer.acceptance.empty()) out.bundle.acceptances.push_back(newcomer.acceptance);
  }
  KS_ASSIGN_OR_RETURN(out.bundle.commit,
                      SignCommit(*owner.ik, owner.member, body, WrapsHash(out.bundle.wraps)));
  if (out.bundle.EncodeContent().size() > limits::kMaxCommitBytes)
    return absl::ResourceExhaustedError("the commit is too long: too many members or rights");
  return out;
}

std::vector<Right> DefaultDeviceRights(const MemberId& device) {
  return {{Topic::Of(TopicKind::kCommand, device), true, false},
          {Topic::Of(TopicKind::kState, device), false, true},
          {Topic::Of(TopicKind::kTelemetry, device), false, true}};
}

absl::Status EnterCommit(const MembershipChain& chain, const CommitBundle& bundle, const MemberSecrets& self,
                         const std::vector<std::pair<Topic, MemberId>>& known_senders, KeyRing& ring) {
  const CommitBody& body = chain.head().body;
  const auto wrap =
      std::ranges::find_if(bundle.wraps, [&](const Wrap& w) { return w.member == self.member; });
  if (wrap == bundle.wraps.end())
    return absl::PermissionDeniedError("the commit holds nothing for this member");
  const WrapPlace place{body.tenant, body.id, body.epoch, body.parent};
  std::optional<SecretBytes> psk;
  if (wrap->first) {
    if (self.join == nullptr) return absl::DataLossError("a first wrap, but no join secret is left");
    KS_ASSIGN_OR_RETURN(psk, FirstWrapPsk(*self.join, body.id, self.member));
  }
  // Without the join secret's authentication anyone could have sealed the first wrap.
  if (!wrap->first && self.join != nullptr)
    return absl::DataLossError("the first wrap must be under the join secret");
  KS_ASSIGN_OR_RETURN(SecretBytes content,
                      OpenWrap(place, *wrap, *self.k, psk.has_value() ? &*psk : nullptr));

  if (wrap->kind == WrapKind::kGrants) {
    KS_ASSIGN_OR_RETURN(std::vector<Grant> grants, ParseGrants(content));
    return ring.EnterGrants(body.epoch, std::move(grants), known_senders);
  }
  if (content.size() != kSecretBytes) return absl::DataLossError("a wrapped secret has the wrong size");
  JoinerSecret joiner(content.Clone());
  if (wrap->kind == WrapKind::kCommitSecret) {
    const bool follows = ring.has_epoch() && ring.is_full_member() && ring.epoch() + 1 == body.epoch;
    if (!follows) return absl::DataLossError("a commit secret without the epoch secret before it");
    KS_ASSIGN_OR_RETURN(joiner, DeriveJoiner(&ring.epoch_secret(), CommitSecret(std::move(content))));
  }
  KS_ASSIGN_OR_RETURN(EpochSecret secret, DeriveEpochSecret(joiner, body.id, body.epoch,
                                                            crypto::Sha256(chain.head().body_bytes)));
  return ring.EnterEpoch(body.epoch, std::move(secret), known_senders);
}

}  // namespace keystead
