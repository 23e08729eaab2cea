#include "core/sealing/member.h"

#include <algorithm>

#include "core/cose/cbor.h"
#include "core/membership/signed_object.h"
#include "core/observe/security_event.h"
#include "core/sealing/places.h"

namespace keystead {

Member::Member(Identity identity, const Clock* clock)
    : identity_(std::move(identity)),
      clock_(clock),
      chain_(identity_.tenant, identity_.id),
      ring_(identity_.id) {}

KeyringEffect Member::Refuse(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
                             std::string_view why) const {
  Report(EventAt(kind, place, sequence, why));
  return KeyringEffect::kRefused;
}

KeyringEffect Member::AcceptKeyring(const StreamPlace& place, uint64_t sequence, ByteView content,
                                    const std::vector<std::pair<Topic, MemberId>>& known_senders) {
  if (place.tenant != identity_.tenant || place.id != identity_.id || place.topic != Topic::Keyring()) {
    return Refuse(SecurityEventKind::kMalformed, place, sequence, "a keyring record of another place");
  }
  const absl::StatusOr<ContentView> view = ParseContent(content);
  if (!view.ok())
    return Refuse(SecurityEventKind::kMalformed, place, sequence, "a keyring record that does not parse");
  if (view->kind == kinds::kCommit) return AcceptCommit(content, place, known_senders);
  return AcceptNotice(place, sequence, view->kind, view->body);
}

KeyringEffect Member::AcceptCommit(ByteView content, const StreamPlace& place,
                                   const std::vector<std::pair<Topic, MemberId>>& known_senders) {
  const absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(content);
  if (!bundle.ok())
    return Refuse(SecurityEventKind::kCommitRefused, place, 0, "a commit that does not parse");
  const SignedCommit* known = chain_.At(place.epoch);
  if (known != nullptr && known->hash == bundle->CommitHash()) return KeyringEffect::kNothing;

  MembershipChain next = chain_;
  const absl::StatusOr<CommitEffect> effect = next.Apply(*bundle);
  if (!effect.ok()) {
    const bool fork = effect.status().code() == absl::StatusCode::kAlreadyExists;
    return Refuse(fork ? SecurityEventKind::kFork : SecurityEventKind::kCommitRefused, place, 0,
                  Std(effect.status().message()));
  }
  if (chain_.empty() && next.head().body.owner_ckt != identity_.owner_ckt) {
    return Refuse(SecurityEventKind::kCommitRefused, place, 0,
                  "commit 0 is of another owner than the one joined");
  }
  if (next.roster().Find(identity_.self) != nullptr) {
    const MemberSecrets secrets{identity_.self, &identity_.k,
                                identity_.join.has_value() ? &*identity_.join : nullptr};
    const absl::Status entered = EnterCommit(next, *bundle, secrets, known_senders, ring_);
    if (!entered.ok()) {
      return Refuse(SecurityEventKind::kCommitRefused, place, 0,
                    "the commit's secrets for this member do not open");
    }
    identity_.join.reset();
  }
  const bool belonged = belongs_;
  if (!chain_.empty()) NoteEnd(chain_.epoch());
  chain_ = std::move(next);
  bundles_.push_back(ToBytes(content));
  belongs_ = chain_.roster().Find(identity_.self) != nullptr;
  std::erase_if(probes_, [&](const auto& probe) { return chain_.roster().Find(probe.first) == nullptr; });
  if (belongs_) return KeyringEffect::kEpoch;
  return belonged ? KeyringEffect::kRemoved : KeyringEffect::kNothing;
}

absl::Status Member::EnterOwn(const NewCommit& commit,
                              const std::vector<std::pair<Topic, MemberId>>& known_senders) {
  const bool first = chain_.empty();
  KS_RETURN_IF_ERROR(chain_.Apply(commit.bundle).status());
  if (!first) NoteEnd(chain_.epoch() - 1);
  KS_RETURN_IF_ERROR(ring_.EnterEpoch(chain_.epoch(), commit.secret.Clone(), known_senders));
  bundles_.push_back(commit.bundle.EncodeContent());
  belongs_ = true;
  return absl::OkStatus();
}

KeyringEffect Member::AcceptNotice(const StreamPlace& place, uint64_t sequence, std::string_view kind,
                                   ByteView body) {
  const SignedCommit* commit = chain_.At(place.epoch);
  const RosterEntry* sender = commit == nullptr ? nullptr : commit->body.roster.Find(place.sender);
  if (sender == nullptr || sender->ik.empty()) {
    return Refuse(SecurityEventKind::kSignatureInvalid, place, sequence,
                  "a keyring record of nobody in the roster");
  }
  const SignedPlace signed_place = SignedPlaceOf(place, sequence);
  if (kind == kinds::kProbe) {
    const absl::StatusOr<Probe> probe = VerifyProbe(body, sender->ik, signed_place);
    if (!probe.ok())
      return Refuse(SecurityEventKind::kSignatureInvalid, place, sequence, "a probe that does not verify");
    if (chain_.roster().Find(probe->reader) == nullptr) return KeyringEffect::kNothing;
    NoteProbe(*probe);
    return KeyringEffect::kProbe;
  }
  if (kind == kinds::kHead) {
    const absl::StatusOr<Head> head = VerifyHead(body, sender->ik, signed_place);
    if (!head.ok() || place.sender != commit->owner) {
      return Refuse(SecurityEventKind::kSignatureInvalid, place, sequence, "a head that does not verify");
    }
    if (head_.has_value() && head->hseq <= head_->hseq) return KeyringEffect::kNothing;
    const SignedCommit* named = chain_.At(head->epoch);
    if (named != nullptr && named->hash != head->commit_hash) {
      return Refuse(SecurityEventKind::kFork, place, sequence,
                    "the owner's head names another commit of this epoch");
    }
    head_ = *head;
    return KeyringEffect::kHead;
  }
  return Refuse(SecurityEventKind::kMalformed, place, sequence, "a keyring record of an unknown kind");
}

// The latest of each reader. With more readers than an echo has room for, the one not heard for longest goes,
// an owner last: nobody else's probes may cost the owner its view.
void Member::NoteProbe(const Probe& probe) {
  probes_[probe.reader] = {probe.nonce, ++probes_heard_};
  if (probes_.size() <= kMaxEchoedProbes) return;
  const auto rank = [&](const auto& entry) {
    const RosterEntry* reader = chain_.roster().Find(entry.first);
    const bool owner = reader != nullptr && reader->kind == MemberKind::kOwner;
    return std::pair(owner, entry.second.order);
  };
  probes_.erase(
      std::ranges::min_element(probes_, [&](const auto& a, const auto& b) { return rank(a) < rank(b); }));
}

void Member::NoteEnd(uint64_t epoch) {
  ended_[epoch] = {absl::ToUnixSeconds(clock_->Now()), clock_->Uptime()};
}

// The commit's own time is the owner's clock, and a wrong one would keep keys for years or drop them at once.
// Of this member's two clocks either suffices: the wall clock counts while it is switched off, the uptime
// where the wall clock was ahead when the epoch ended.
std::vector<KeyRing::SenderSlot> Member::ForgetOldKeys() {
  const int64_t now = absl::ToUnixSeconds(clock_->Now());
  const absl::Duration uptime = clock_->Uptime();
  uint64_t kept_from = 0;
  while (!ended_.empty()) {
    const auto& [epoch, end] = *ended_.begin();
    if (now - end.time < absl::ToInt64Seconds(kKeepOldKeys) && uptime - end.uptime < kKeepOldKeys) break;
    kept_from = epoch + 1;
    ended_.erase(ended_.begin());
  }
  return ring_.ForgetBefore(kept_from);
}

Freshness Member::MakeFreshness(const BootId& boot, absl::Duration uptime,
                                std::optional<int64_t> time) const {
  Freshness f;
  if (!chain_.empty()) f.commit_hash = chain_.head().hash;
  f.boot = boot;
  f.uptime = uptime;
  f.time = time;
  f.hseq = head_.has_value() ? head_->hseq : 0;
  for (const auto& [reader, heard] : probes_) f.echoes.push_back({reader, heard.nonce});
  return f;
}

SecretBytes Member::Serialize() const {
  size_t size = 4096 + ended_.size() * 24;
  for (const Bytes& bundle : bundles_) size += bundle.size() + 16;
  const SecretBytes ring = ring_.Serialize();
  Bytes plain;
  plain.reserve(size + ring.size());
  cose::CborWriter w(plain);
  w.Array(11).Text(identity_.tenant.str()).Bstr(identity_.id.view()).Bstr(identity_.self.view());
  w.Bstr(identity_.ik.ExportPrivateScalar().ExposeSecret())
      .Bstr(identity_.k.ExportPrivateScalar().ExposeSecret());
  if (identity_.join.has_value()) {
    w.Bstr(identity_.join->secret().ExposeSecret());
  } else {
    w.Null();
  }
  w.Bstr(identity_.owner_ckt.view()).Bstr(ring.ExposeSecret());
  w.Array(bundles_.size());
  for (const Bytes& bundle : bundles_) w.Bstr(bundle);
  if (head_.has_value()) {
    w.Array(4).Uint(head_->epoch).Bstr(head_->commit_hash.view()).Uint(head_->hseq).Int(head_->time);
  } else {
    w.Null();
  }
  w.Array(ended_.size());
  for (const auto& [epoch, end] : ended_) w.Array(2).Uint(epoch).Int(end.time);
  SecretBytes out = SecretBytes::CopyOf(plain);
  SecureWipe(plain.data(), plain.size());
  return out;
}

namespace {

absl::StatusOr<Member::Identity> ReadIdentity(cose::CborReader& r) {
  Member::Identity identity;
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, r.ReadText());
  KS_ASSIGN_OR_RETURN(identity.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(identity.id, r.ReadId<InstantiationId>());
  KS_ASSIGN_OR_RETURN(identity.self, r.ReadId<MemberId>());
  KS_ASSIGN_OR_RETURN(const ByteView ik, r.ReadBytes(kSecretBytes));
  KS_ASSIGN_OR_RETURN(identity.ik, crypto::EcdsaKeyPair::FromPrivateScalar(SecretBytes::CopyOf(ik)));
  KS_ASSIGN_OR_RETURN(const ByteView k, r.ReadBytes(kSecretBytes));
  KS_ASSIGN_OR_RETURN(identity.k, crypto::EcdhKeyPair::FromPrivateScalar(SecretBytes::CopyOf(k)));
  KS_ASSIGN_OR_RETURN(const bool no_join, r.TryNull());
  if (!no_join) {
    KS_ASSIGN_OR_RETURN(const ByteView join, r.ReadBytes(kSecretBytes));
    identity.join = JoinSecret(SecretBytes::CopyOf(join));
  }
  KS_ASSIGN_OR_RETURN(identity.owner_ckt, r.ReadId<Digest>());
  return identity;
}

absl::StatusOr<Head> ReadHead(cose::CborReader& r) {
  Head head;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(head.epoch, r.ReadUint());
  KS_ASSIGN_OR_RETURN(head.commit_hash, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(head.hseq, r.ReadUint());
  KS_ASSIGN_OR_RETURN(head.time, r.ReadInt());
  return head;
}

}  // namespace

absl::Status Member::ReadEnds(cose::CborReader& r) {
  KS_ASSIGN_OR_RETURN(const size_t count, r.ReadArray());
  for (size_t i = 0; i < count; ++i) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(const uint64_t epoch, r.ReadUint());
    EpochEnd end;
    KS_ASSIGN_OR_RETURN(end.time, r.ReadInt());
    end.uptime = clock_->Uptime();
    ended_[epoch] = end;
  }
  return absl::OkStatus();
}

absl::StatusOr<Member> Member::Parse(const SecretBytes& encoded, const Clock* clock) {
  const auto damaged = [](const absl::Status& why) {
    return absl::DataLossError(absl::StrCat("stored membership is damaged: ", why.message()));
  };
  cose::CborReader r(encoded.ExposeSecret());
  if (absl::Status s = r.ReadArrayOf(11); !s.ok()) return damaged(s);
  absl::StatusOr<Identity> identity = ReadIdentity(r);
  if (!identity.ok()) return damaged(identity.status());
  Member member(*std::move(identity), clock);
  const absl::StatusOr<ByteView> ring_bytes = r.ReadBytes();
  if (!ring_bytes.ok()) return damaged(ring_bytes.status());
  absl::StatusOr<KeyRing> ring = KeyRing::Parse(member.identity_.id, SecretBytes::CopyOf(*ring_bytes));
  if (!ring.ok()) return damaged(ring.status());
  member.ring_ = *std::move(ring);
  const absl::StatusOr<size_t> bundles = r.ReadArray();
  if (!bundles.ok()) return damaged(bundles.status());
  for (size_t i = 0; i < *bundles; ++i) {
    const absl::StatusOr<ByteView> content = r.ReadBytes();
    if (!content.ok()) return damaged(content.status());
    const absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(*content);
    if (!bundle.ok()) return damaged(bundle.status());
    if (absl::Status s = member.chain_.Apply(*bundle).status(); !s.ok()) return damaged(s);
    member.bundles_.push_back(ToBytes(*content));
  }
  const absl::StatusOr<bool> no_head = r.TryNull();
  if (!no_head.ok()) return damaged(no_head.status());
  if (!*no_head) {
    const absl::StatusOr<Head> head = ReadHead(r);
    if (!head.ok()) return damaged(head.status());
    member.head_ = *head;
  }
  if (absl::Status s = member.ReadEnds(r); !s.ok()) return damaged(s);
  if (absl::Status s = r.Finish(); !s.ok()) return damaged(s);
  member.belongs_ = !member.chain_.empty() && member.chain_.roster().Find(member.identity_.self) != nullptr;
  return member;
}

}  // namespace keystead
