#include "tests/isolation/household.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/base/random.h"
#include "core/cose/cose_key.h"
#include "core/membership/acceptance.h"
#include "core/membership/signed_object.h"
#include "core/sealing/commit_secrets.h"
#include "core/transport/group_view.h"

namespace keystead::testing {
namespace {

constexpr int64_t kCommitTime = 1'800'000'000;

RandomSource& Random() { return RandomSource::System(); }

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "household: %s\n", status.ToString().c_str());
  std::abort();
}
template <class T>
T OrDie(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

}  // namespace

struct Household::Party {
  RosterEntry entry;
  crypto::EcdsaKeyPair ik = OrDie(crypto::EcdsaKeyPair::Generate());
  crypto::EcdhKeyPair k = OrDie(crypto::EcdhKeyPair::Generate());
  JoinSecret join{Random().Secret(kSecretBytes)};
  std::unique_ptr<Member> member;
};

Household::Household(const TenantName& tenant, const std::string& name)
    : tenant_(tenant), name_(name), nonce_(Random().NewId<Digest>()) {
  Party& owner_party = Add(Role::kApp, MemberKind::kOwner);
  id_ = DeriveInstantiationId(tenant, cose::Ckt(owner_party.ik.public_key()), nonce_);
  Party& device_party = Add(Role::kDevice, MemberKind::kDevice);
  device_party.entry.rights = DefaultDeviceRights(device());
  Add(Role::kGateway, MemberKind::kGateway);
  const std::vector<Right> reads = {{TopicOf(TopicKind::kTelemetry), true, false}};
  Add(Role::kThirdParty, MemberKind::kReader).entry.rights = reads;
  Add(Role::kService, MemberKind::kReader).entry.rights = reads;
  for (auto& [role, party] : parties_) {
    Member::Identity identity{tenant,
                              id_,
                              party->entry.member,
                              party->ik.Clone(),
                              party->k.Clone(),
                              std::nullopt,
                              cose::Ckt(owner_party.ik.public_key())};
    if (role != Role::kApp) identity.join = party->join.Clone();
    party->member = std::make_unique<Member>(std::move(identity));
  }
  Commit({});
  Commit({Role::kDevice, Role::kGateway, Role::kThirdParty, Role::kService});
  Write(Role::kDevice, TopicKind::kTelemetry, kCanary);
  Write(Role::kDevice, TopicKind::kState, "on");
  Write(Role::kApp, TopicKind::kCommand, "off");
  streams_[TopicKind::kKeyring] = Random().NewId<StreamId>();  // of whoever would publish there
}
Household::~Household() = default;

Household::Party& Household::Add(Role role, MemberKind kind) {
  auto party = std::make_unique<Party>();
  party->entry.member = Random().NewId<MemberId>();
  party->entry.kind = kind;
  party->entry.transport = MemberOf(role).str();
  party->entry.ik = party->ik.public_key();
  party->entry.k = party->k.public_key();
  return *(parties_[role] = std::move(party));
}

SpiffeId Household::MemberOf(Role role) const {
  const std::string id = role == Role::kFactory ? absl::StrCat("device.", name_)
                                                : absl::StrCat(Absl(RoleName(role)), "-", name_);
  return OrDie(SpiffeId::Of(tenant_, role, id));
}

const MemberId& Household::device() const { return parties_.at(Role::kDevice)->entry.member; }
const MemberId& Household::owner() const { return parties_.at(Role::kApp)->entry.member; }
const MembershipChain& Household::chain() const { return parties_.at(Role::kApp)->member->chain(); }

Topic Household::TopicOf(TopicKind kind) const {
  return kind == TopicKind::kKeyring ? Topic::Keyring() : Topic::Of(kind, device());
}

std::vector<Topic> Household::Topics() const {
  std::vector<Topic> out;
  for (const TopicKind kind :
       {TopicKind::kTelemetry, TopicKind::kCommand, TopicKind::kState, TopicKind::kKeyring})
    out.push_back(TopicOf(kind));
  return out;
}

OwnerIdentity Household::Identity() const {
  const Party& party = *parties_.at(Role::kApp);
  return {tenant_, id_, nonce_, party.entry.member, party.entry.transport, &party.ik, &party.k};
}

void Household::Commit(const std::vector<Role>& add) {
  Member& owner_member = *parties_.at(Role::kApp)->member;
  CommitRequest request;
  request.time = kCommitTime;
  for (const Role role : add) {
    const Party& party = *parties_.at(role);
    Newcomer newcomer;
    newcomer.entry = party.entry;
    newcomer.join = party.join.Clone();
    newcomer.acceptance =
        OrDie(SignAcceptance(party.ik, {tenant_, id_, cose::Ckt(party.ik.public_key()),
                                        cose::Ckt(Identity().ik->public_key()), 0, Digest()}));
    request.add.push_back(std::move(newcomer));
  }
  const bool first = chain().empty();
  const NewCommit commit = OrDie(MakeCommit(
      chain(), Identity(), first ? nullptr : &owner_member.ring().epoch_secret(), request, Random()));
  Check(owner_member.EnterOwn(commit));
  const Bytes content = commit.bundle.EncodeContent();
  bundles_.push_back(ToString(content));
  const StreamPlace place{tenant_, id_, Topic::Keyring(), owner(), chain().epoch(), StreamId()};
  for (auto& [role, party] : parties_) {
    if (role != Role::kApp) party->member->AcceptKeyring(place, 0, content);
  }
}

void Household::Write(Role by, TopicKind kind, std::string_view text) {
  const Party& party = *parties_.at(by);
  const Topic topic = TopicOf(kind);
  const SenderKey key = OrDie(party.member->ring().SenderKeyFor(chain().epoch(), topic, party.entry.member));
  const Freshness fresh = party.member->MakeFreshness(Random().NewId<BootId>(), absl::Seconds(1), {});
  std::vector<Bytes> records(3);
  const auto writer =
      OrDie(StreamWriter::Open({tenant_, id_, topic, party.entry.member, chain().epoch(), {}}, key, party.ik,
                               {std::nullopt, fresh}, Clock::System(), Random(), records[0]));
  if (kind == TopicKind::kTelemetry) {
    Check(writer->Seal(kinds::kReadings, AsBytes(text), records[1]).status());
  } else {
    const std::string_view said = kind == TopicKind::kState ? kinds::kReport : kinds::kCommand;
    Check(writer->SealSigned(said, AsBytes(text), records[1]).status());
  }
  Check(writer->SealCheckpoint(fresh, true, records[2]).status());
  const StreamPlace& place = writer->place();
  GroupBuilder builder({tenant_, id_, topic, place.sender, place.epoch, place.stream});
  for (size_t n = 0; n < records.size(); ++n) Check(builder.Append(n, records[n]));
  groups_.push_back({by, *builder.Take()});
  streams_[kind] = place.stream;
}

std::string Household::ForgedCommit(uint64_t epoch, const MemberId* without) const {
  const crypto::EcdsaKeyPair forger = OrDie(crypto::EcdsaKeyPair::Generate());
  const SignedCommit* const known = chain().At(epoch);
  CommitBody body = known == nullptr ? chain().head().body : known->body;
  if (known == nullptr) {
    body.epoch = epoch;
    body.parent = chain().head().hash;
    body.nonce.reset();
  }
  body.time += 1;
  std::vector<RosterEntry> entries;
  for (const RosterEntry& entry : body.roster.entries()) {
    if (without == nullptr || entry.member != *without) entries.push_back(entry);
  }
  body.roster = OrDie(Roster::Create(std::move(entries)));
  CommitBundle bundle;
  bundle.commit = OrDie(SignCommit(forger, owner(), body, WrapsHash({})));
  return ToString(bundle.EncodeContent());
}

std::vector<std::string> Household::Opened(Role reader, const std::string& group) const {
  std::vector<std::string> out;
  GroupHeaderCache headers;
  const GroupView view = OrDie(GroupView::Parse(group, headers));
  const GroupHeader& h = view.header();
  const StreamPlace place{h.tenant, h.instantiation, h.topic, h.sender, h.epoch, h.stream};
  const KeyRing& ring = parties_.at(reader)->member->ring();
  for (uint64_t epoch = 0; epoch <= chain().epoch(); ++epoch) {
    for (const Topic& topic : Topics()) {
      for (const auto& [role, sender] : parties_) {
        const absl::StatusOr<SenderKey> key = ring.SenderKeyFor(epoch, topic, sender->entry.member);
        if (!key.ok()) continue;
        RecordCipher cipher = OrDie(RecordCipher::Create(*key, place));
        for (const RecordView& record : view.records()) {
          Bytes plain;
          if (cipher.Open(record.sequence, record.cose, plain).ok()) out.push_back(ToString(plain));
        }
      }
    }
  }
  return out;
}

const KeyRing& Household::RingOf(Role role) const { return parties_.at(role)->member->ring(); }

}  // namespace keystead::testing
