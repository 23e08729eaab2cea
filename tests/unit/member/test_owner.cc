#include "tests/unit/member/test_owner.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/cose/cose_key.h"
#include "core/crypto/hash.h"
#include "core/member/keyring_link.h"
#include "core/membership/acceptance.h"
#include "core/membership/notice.h"
#include "core/membership/signed_object.h"

namespace keystead::testing {
namespace {

Payload GroupOf(const StreamPlace& place, uint64_t sequence, ByteView content) {
  GroupBuilder builder({place.tenant, place.id, place.topic, place.sender, place.epoch, place.stream});
  EXPECT_TRUE(builder.Append(sequence, content).ok());
  return builder.Take();
}

SignedPlace SignedPlaceOf(const StreamPlace& place, uint64_t sequence) {
  SignedPlace out;
  out.tenant = place.tenant;
  out.id = place.id;
  out.topic = place.topic;
  out.sender = place.sender;
  out.stream = place.stream;
  out.epoch = place.epoch;
  out.sequence = sequence;
  return out;
}

}  // namespace

// OwnerReader
// -----------------------------------------------------------------------------------------------------------

void OwnerReader::OnRecord(const ReadRecord& record) {
  records.push_back(
      {*record.place, record.sequence, std::string(record.kind), ToString(record.body), record.confirmed});
}
void OwnerReader::OnAlarm(SecurityEventKind kind, const StreamPlace&, uint64_t, std::string_view) {
  ++alarms[std::string(SecurityEventName(kind))];
}
std::vector<std::string> OwnerReader::BodiesOf(std::string_view kind) const {
  std::vector<std::string> out;
  for (const Seen& seen : records) {
    if (seen.kind == kind) out.push_back(seen.body);
  }
  return out;
}
uint64_t OwnerReader::Missing() const {
  uint64_t out = 0;
  for (const auto& [stream, range] : missing) out += range.last - range.first + 1;
  return out;
}
int OwnerReader::AlarmsBut(std::vector<std::string> expected) const {
  int out = 0;
  for (const auto& [name, count] : alarms) {
    if (std::ranges::find(expected, name) != expected.end()) continue;
    ADD_FAILURE() << "alarm " << name << " x" << count;
    out += count;
  }
  return out;
}

// TestOwner
// -------------------------------------------------------------------------------------------------------------

TestOwner::TestOwner()
    : ik_(Must(crypto::EcdsaKeyPair::Generate())),
      k_(Must(crypto::EcdhKeyPair::Generate())),
      nonce_(RandomSource::System().NewId<Digest>()) {
  Member::Identity identity;
  identity.tenant = TestTenant();
  identity.owner_ckt = cose::Ckt(ik_.public_key());
  identity.id = DeriveInstantiationId(identity.tenant, identity.owner_ckt, nonce_);
  identity.self = RandomSource::System().NewId<MemberId>();
  identity.ik = ik_.Clone();
  identity.k = k_.Clone();
  member_ = std::make_unique<Member>(std::move(identity));
}

void TestOwner::Commit(CommitRequest request, MemberHop* hop) {
  OwnerIdentity owner;
  owner.tenant = TestTenant();
  owner.id = id();
  owner.nonce = nonce_;
  owner.member = self();
  owner.transport = "spiffe://acme.keystead.example/app/app-1";
  owner.ik = &ik_;
  owner.k = &k_;
  const EpochSecret* previous = member_->chain().empty() ? nullptr : &member_->ring().epoch_secret();
  request.time = 1'800'000'000;
  const NewCommit commit =
      Must(MakeCommit(member_->chain(), owner, previous, request, RandomSource::System()));
  std::vector<std::pair<Topic, MemberId>> known;
  if (!member_->chain().empty()) {
    for (const RosterEntry& entry : member_->chain().roster().entries()) {
      known.emplace_back(Topic::Of(TopicKind::kTelemetry, entry.member), entry.member);
      known.emplace_back(Topic::Of(TopicKind::kState, entry.member), entry.member);
      known.emplace_back(Topic::Of(TopicKind::kCommand, entry.member), self());
    }
  }
  ASSERT_TRUE(member_->EnterOwn(commit, known).ok());
  if (hop == nullptr) return;
  const StreamPlace place{TestTenant(), id(), Topic::Keyring(), self(), member_->chain().epoch(), StreamId()};
  hop->Append(GroupOf(place, 0, commit.bundle.EncodeContent()));
}

JoinInitiator TestOwner::StartJoin(const membership::Label& label, ByteView announcement,
                                   const MemberId& newcomer) {
  const JoinInitiator::Owner owner{TestTenant(), id(), self(), &ik_, k_.public_key()};
  return Must(
      JoinInitiator::Start(label, announcement, owner, newcomer, 1'800'000'000, RandomSource::System()));
}

void TestOwner::AddAll(std::span<const JoinedMember> all, MemberHop* hop) {
  CommitRequest request;
  for (const JoinedMember& joined : all) {
    Newcomer newcomer;
    newcomer.entry.member = joined.member;
    newcomer.entry.kind = MemberKind::kDevice;
    newcomer.entry.transport = joined.transport;
    newcomer.entry.ik = joined.ik;
    newcomer.entry.k = joined.k;
    newcomer.entry.rights = DefaultDeviceRights(joined.member);
    newcomer.join = JoinSecret(joined.join.secret().Clone());
    newcomer.acceptance = joined.acceptance;
    request.add.push_back(std::move(newcomer));
  }
  Commit(std::move(request), hop);
}

MemberId TestOwner::Pair(JoinResponder& device, const membership::Label& label, const BootId& boot,
                         absl::Duration uptime, MemberHop* hop) {
  EXPECT_TRUE(device.Arm(boot, uptime).ok());
  const MemberId member = RandomSource::System().NewId<MemberId>();
  const JoinInitiator join = StartJoin(label, device.announcement(), member);
  const Bytes m2 = Must(device.HandleM1(join.m1(), boot, uptime));
  Add(Must(join.Finish(m2)), hop);
  return member;
}

void TestOwner::Remove(const MemberId& member, MemberHop* hop) {
  CommitRequest request;
  request.remove.push_back(member);
  Commit(std::move(request), hop);
}

TestOwner::Phone TestOwner::AddPhone(const MemberId& target, MemberHop* hop) {
  RandomSource& random = RandomSource::System();
  Phone phone{random.NewId<MemberId>(), Must(crypto::EcdsaKeyPair::Generate())};
  Newcomer newcomer;
  newcomer.entry.member = phone.id;
  newcomer.entry.kind = MemberKind::kReader;
  newcomer.entry.transport = "spiffe://acme.keystead.example/app/app-2";
  newcomer.entry.ik = phone.ik.public_key();
  newcomer.entry.k = Must(crypto::EcdhKeyPair::Generate()).public_key();
  newcomer.entry.rights = {{Topic::Of(TopicKind::kCommand, target), false, true}};
  newcomer.join = JoinSecret(random.Secret(kSecretBytes));
  newcomer.acceptance = Must(SignAcceptance(phone.ik, {TestTenant(), id(), cose::Ckt(phone.ik.public_key()),
                                                       cose::Ckt(ik_.public_key()), 0, Digest()}));
  CommitRequest request;
  request.add.push_back(std::move(newcomer));
  Commit(std::move(request), hop);
  return phone;
}

Digest TestOwner::SendCommandAs(const MemberId& signer, const crypto::EcdsaKeyPair& ik,
                                const MemberId& target, const Command& command, MemberHop& hop) {
  const Topic topic = Topic::Of(TopicKind::kCommand, target);
  const uint64_t epoch = member_->chain().epoch();
  std::unique_ptr<StreamWriter>& writer = commands_[{signer, target}];
  if (writer == nullptr || writer->place().epoch != epoch) {
    StreamWriter::Config config;
    config.tenant = TestTenant();
    config.id = id();
    config.topic = topic;
    config.sender = signer;
    config.epoch = epoch;
    Opening opening;
    if (writer != nullptr) opening.previous = writer->AsPrevious();
    opening.freshness = member_->MakeFreshness(BootId(), absl::Seconds(1), std::nullopt);
    Bytes record;
    writer = Must(StreamWriter::Open(config, Must(member_->ring().SenderKeyFor(epoch, topic, signer)), ik,
                                     opening, Clock::System(), RandomSource::System(), record));
    hop.Append(GroupOf(writer->place(), 0, record));
  }
  Bytes record;
  const uint64_t at = Must(writer->SealSigned(kinds::kCommand, EncodeCommand(command), record));
  hop.Append(GroupOf(writer->place(), at, record));
  RecordCipher cipher =
      Must(RecordCipher::Create(Must(member_->ring().SenderKeyFor(epoch, topic, signer)), writer->place()));
  Bytes content;
  EXPECT_TRUE(cipher.Open(at, record, content).ok());
  return crypto::Sha256(Must(ParseContent(content)).body);
}

void TestOwner::SendProbe(MemberHop& hop) {
  const StreamPlace place{TestTenant(),
                          id(),
                          Topic::Keyring(),
                          self(),
                          member_->chain().epoch(),
                          RandomSource::System().NewId<StreamId>()};
  const Bytes object =
      Must(SignProbe(ik_, SignedPlaceOf(place, 0), {self(), RandomSource::System().NewId<ProbeNonce>()}));
  hop.Append(GroupOf(place, 0, EncodeContent(kinds::kProbe, object)));
}

void TestOwner::SendHead(uint64_t hseq, MemberHop& hop) {
  const uint64_t epoch = member_->chain().epoch();
  const StreamPlace place{TestTenant(), id(),  Topic::Keyring(),
                          self(),       epoch, RandomSource::System().NewId<StreamId>()};
  const Head head{epoch, member_->chain().head().hash, hseq, 0};
  hop.Append(
      GroupOf(place, 0, EncodeContent(kinds::kHead, Must(SignHead(ik_, SignedPlaceOf(place, 0), head)))));
}

std::unique_ptr<OwnerReader> TestOwner::Read(MemberHop& hop, const std::vector<Topic>& topics) {
  auto listener = std::make_unique<OwnerReader>();
  ManualClock clock;
  Reader reader(self(), ReaderLimits(), &member_->ring(), &member_->chain(), &clock, listener.get());
  GroupHeaderCache headers;
  for (const Topic& topic : topics) {
    for (const Payload& payload : hop.Groups(id(), topic)) {
      const GroupView group = Must(GroupView::Parse(*payload, headers));
      for (const RecordView& record : group.records())
        reader.Accept(PlaceOf(group.header()), record.sequence, record.cose);
    }
  }
  for (int i = 0; i < 3; ++i) {  // what has not come by now is missing
    clock.Advance(absl::Seconds(5));
    reader.Tick();
  }
  return listener;
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time until = absl::Now() + absl::Seconds(30);
  while (absl::Now() < until) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return condition();
}

TestDevice::TestDevice(std::string device_id, std::string transport)
    : id(std::move(device_id)),
      ik(Must(crypto::EcdsaKeyPair::Generate())),
      setup_code(RandomSource::System().Secret(membership::kSetupCodeBytes)),
      boot(RandomSource::System().NewId<BootId>()),
      responder(std::make_unique<JoinResponder>(
          JoinResponder::Identity{TestTenant(), id, "temperature", std::move(transport), &ik, &setup_code},
          RandomSource::System())) {}

membership::Label TestDevice::label() const {
  membership::Label label;
  label.tenant = TestTenant();
  label.device_id = id;
  label.ckt = cose::Ckt(ik.public_key());
  label.setup_code = setup_code.Clone();
  return label;
}

}  // namespace keystead::testing
