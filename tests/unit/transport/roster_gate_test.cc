#include "core/transport/roster_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "core/base/random.h"
#include "core/cose/cose_key.h"
#include "core/crypto/p256.h"
#include "core/observe/security_event.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::Id;
using testing::kAcme;
using testing::kGlobex;
using testing::Tenant;

RosterEntry MakeEntry(MemberKind kind, std::string_view uri) {
  RosterEntry out;
  out.member = RandomSource::System().NewId<MemberId>();
  out.kind = kind;
  out.transport = absl::StrCat("spiffe://", kAcme, "/", Absl(uri));
  if (kind == MemberKind::kCourier) return out;
  out.ik = crypto::EcdsaKeyPair::Generate()->public_key();
  out.k = crypto::EcdhKeyPair::Generate()->public_key();
  return out;
}

// Commits without wraps: the gate reads the roster only.
class RosterGateTest : public ::testing::Test {
 protected:
  RosterGateTest() {
    owner_ = Entry(MemberKind::kOwner, "app/phone");
    owner_.ik = key_.public_key();
    bulb_ = Entry(MemberKind::kDevice, "device/bulb");
    bulb_.rights = {{Topic::Of(TopicKind::kCommand, bulb_.member), true, false},
                    {state_of(bulb_), false, true},
                    {telemetry_of(bulb_), false, true}};
    courier_ = Entry(MemberKind::kCourier, "gateway/hall");
    console_ = Entry(MemberKind::kReader, "thirdparty/console");
    console_.rights = {{telemetry_of(bulb_), true, false}};
    SetSecurityEventObserver([this](const SecurityEvent& event) { events_.push_back(event); });
    gate_.emplace(Chain({{owner_, bulb_, courier_, console_}}), options());
  }
  ~RosterGateTest() override { SetSecurityEventObserver(nullptr); }

  static Topic telemetry_of(const RosterEntry& entry) {
    return Topic::Of(TopicKind::kTelemetry, entry.member);
  }
  static Topic state_of(const RosterEntry& entry) { return Topic::Of(TopicKind::kState, entry.member); }
  RosterGateOptions options() const {
    RosterGateOptions out;
    out.clock = &clock_;
    return out;
  }

  // A chain whose commit n has roster n. Acceptances are made up for whoever is new.
  std::shared_ptr<const MembershipChain> Chain(const std::vector<std::vector<RosterEntry>>& rosters) {
    const Digest ckt = cose::Ckt(key_.public_key());
    const Digest nonce;
    auto chain =
        std::make_shared<MembershipChain>(Tenant(kAcme), DeriveInstantiationId(Tenant(kAcme), ckt, nonce));
    for (const auto& roster : rosters) {
      CommitBody body;
      body.tenant = chain->tenant();
      body.id = chain->id();
      body.owner_ckt = ckt;
      body.time = absl::ToUnixSeconds(clock_.Now());
      if (chain->empty()) {
        body.nonce = nonce;
      } else {
        body.epoch = chain->epoch() + 1;
        body.parent = chain->head().hash;
      }
      body.roster = *Roster::Create(roster);
      CommitBundle bundle;
      for (const RosterEntry& entry : roster) {
        const bool is_new = chain->empty() || chain->roster().Find(entry.member) == nullptr;
        if (is_new && keys_.contains(entry.member)) bundle.acceptances.push_back(Accept(entry, *chain));
      }
      bundle.commit = *SignCommit(key_, owner_.member, body, WrapsHash({}));
      const auto applied = chain->Apply(bundle);
      EXPECT_TRUE(applied.ok()) << applied.status();
    }
    return chain;
  }

  Bytes Accept(const RosterEntry& entry, const MembershipChain& chain) {
    Acceptance acceptance;
    acceptance.tenant = chain.tenant();
    acceptance.id = chain.id();
    acceptance.device_ckt = entry.ckt();
    acceptance.owner_ckt = cose::Ckt(key_.public_key());
    return *SignAcceptance(keys_.at(entry.member), acceptance);
  }

  RosterEntry Entry(MemberKind kind, std::string_view uri) {
    RosterEntry out = MakeEntry(kind, uri);
    if (kind == MemberKind::kOwner || kind == MemberKind::kCourier) return out;
    crypto::EcdsaKeyPair key = *crypto::EcdsaKeyPair::Generate();
    out.ik = key.public_key();
    keys_.emplace(out.member, std::move(key));
    return out;
  }

  static Principal As(const RosterEntry& entry) { return Principal::ForTesting(Id(entry.transport)); }

  absl::Status Publish(const Principal& principal, const RosterEntry& sender, const Topic& topic,
                       uint64_t epoch = 0, const StreamId& stream = kStream,
                       std::string_view tenant = kAcme) {
    GroupHeader header;
    header.tenant = Tenant(tenant);
    header.instantiation = gate_->chain().id();
    header.topic = topic;
    header.sender = sender.member;
    header.epoch = epoch;
    header.stream = stream;
    GroupBuilder builder(header);
    EXPECT_TRUE(builder.Append(7, AsBytes("sealed")).ok());
    groups_.push_back(builder.Take());
    const auto view = GroupView::Parse(*groups_.back(), headers_);
    EXPECT_TRUE(view.ok());
    return gate_->MayPublish(principal, *view);
  }
  absl::Status Read(const Principal& principal, const std::vector<Topic>& topics) {
    return gate_->MaySubscribe(principal, topics);
  }

  static constexpr StreamId kStream{{1, 2, 3}};
  ManualClock clock_;
  crypto::EcdsaKeyPair key_ = *crypto::EcdsaKeyPair::Generate();
  std::map<MemberId, crypto::EcdsaKeyPair> keys_;
  RosterEntry owner_, bulb_, courier_, console_;
  std::vector<SecurityEvent> events_;
  std::vector<Payload> groups_;
  GroupHeaderCache headers_;
  std::optional<RosterGate> gate_;
};

TEST_F(RosterGateTest, SendersPublishThemselvesOrThroughACourier) {
  EXPECT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_)).ok());
  EXPECT_TRUE(Publish(As(courier_), bulb_, telemetry_of(bulb_)).ok());
  EXPECT_TRUE(events_.empty());
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(console_), bulb_, telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(owner_), bulb_, telemetry_of(bulb_))));
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[0].kind, SecurityEventKind::kNotPermitted);
  EXPECT_EQ(events_[0].sequence, 7u);
  EXPECT_EQ(events_[0].sender, bulb_.member.ToHex());
  EXPECT_EQ(events_[0].peer, console_.transport);
}

TEST_F(RosterGateTest, WhatWasDecidedForOnePeerIsNotTakenForAnother) {
  // All share the header's address through one cache.
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_)).ok());
    EXPECT_FALSE(Publish(As(console_), bulb_, telemetry_of(bulb_)).ok());
  }
  EXPECT_EQ(events_.size(), 2u);
}

TEST_F(RosterGateTest, RightsSenderAndStreamCount) {
  EXPECT_TRUE(
      absl::IsPermissionDenied(Publish(As(bulb_), bulb_, Topic::Of(TopicKind::kCommand, bulb_.member))));
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(courier_), console_, telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(courier_), courier_, telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsPermissionDenied(
      Publish(As(courier_), MakeEntry(MemberKind::kCourier, "x/y"), telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsInvalidArgument(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 0, StreamId())));
  EXPECT_TRUE(Publish(As(console_), console_, Topic::Keyring()).ok());  // a probe
}

// Who carries an owner's record could otherwise put it where nobody reads, and be told that it is kept.
TEST_F(RosterGateTest, ATopicOfNobodyTakesNothing) {
  RosterEntry lamp = Entry(MemberKind::kDevice, "device/lamp");
  const auto command_of = [](const RosterEntry& to) { return Topic::Of(TopicKind::kCommand, to.member); };
  lamp.rights = {{command_of(lamp), true, false}};
  EXPECT_EQ(Publish(As(owner_), owner_, command_of(bulb_)), absl::OkStatus());
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(owner_), owner_, command_of(lamp))));
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(courier_), owner_, command_of(lamp))));
  gate_->SetChain(Chain({{owner_, bulb_, courier_}, {owner_, bulb_, courier_, lamp}}));
  EXPECT_EQ(Publish(As(owner_), owner_, command_of(lamp), 1), absl::OkStatus());
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(owner_), owner_, command_of(lamp), 0)));
}

TEST_F(RosterGateTest, StrangersAndForeignTenantsLearnTheSame) {
  const Principal stranger = Principal::ForTesting(Id(absl::StrCat("spiffe://", kAcme, "/app/other")));
  const Principal spy = Principal::ForTesting(Id(absl::StrCat("spiffe://", kGlobex, "/gateway/hall")));
  EXPECT_EQ(Publish(stranger, bulb_, telemetry_of(bulb_)), NoSuchInstantiation());
  EXPECT_EQ(Publish(spy, bulb_, telemetry_of(bulb_)), NoSuchInstantiation());
  EXPECT_EQ(Publish(spy, bulb_, telemetry_of(bulb_), 0, kStream, kGlobex), NoSuchInstantiation());
  EXPECT_EQ(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 0, kStream, kGlobex), NoSuchInstantiation());
  EXPECT_EQ(Read(stranger, {Topic::Keyring()}), NoSuchInstantiation());
  EXPECT_EQ(Read(spy, {Topic::Keyring()}), NoSuchInstantiation());
  EXPECT_EQ(events_.size(), 6u);
}

TEST_F(RosterGateTest, ReadersReadWhatTheyAreGrantedAndCouriersFetchAll) {
  EXPECT_TRUE(Read(As(console_), {telemetry_of(bulb_), Topic::Keyring()}).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(Read(As(console_), {telemetry_of(bulb_), state_of(bulb_)})));
  EXPECT_TRUE(absl::IsPermissionDenied(Read(As(bulb_), {telemetry_of(bulb_)})));
  EXPECT_TRUE(Read(As(courier_), {telemetry_of(bulb_), state_of(bulb_)}).ok());
  EXPECT_TRUE(Read(As(owner_), {telemetry_of(bulb_), state_of(bulb_)}).ok());
  const Topic nobody = Topic::Of(TopicKind::kState, RandomSource::System().NewId<MemberId>());
  EXPECT_TRUE(absl::IsNotFound(Read(As(owner_), {nobody})));
  EXPECT_TRUE(absl::IsNotFound(Read(As(courier_), {*Topic::Parse(telemetry_of(bulb_).str() + "/x")})));
}

TEST_F(RosterGateTest, ANewChainCountsAtOnceAndOldEpochsDrain) {
  ASSERT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_)).ok());
  gate_->SetChain(Chain({{owner_, bulb_, courier_, console_}, {owner_, courier_, console_}}));
  gate_->EpochEnded(0, clock_.Now());
  EXPECT_EQ(Publish(As(bulb_), bulb_, telemetry_of(bulb_)), NoSuchInstantiation());  // removed: out at once
  EXPECT_TRUE(Publish(As(courier_), bulb_, telemetry_of(bulb_)).ok());               // its queue drains
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(courier_), bulb_, telemetry_of(bulb_), 1)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Publish(As(courier_), bulb_, telemetry_of(bulb_), 2)));
  EXPECT_TRUE(Read(As(courier_), {telemetry_of(bulb_)}).ok());  // what it left can still be read
  clock_.Advance(absl::Hours(24 * 30));
  // Remembered as allowed, but only as long as it is.
  EXPECT_TRUE(absl::IsFailedPrecondition(Publish(As(courier_), bulb_, telemetry_of(bulb_))));
}

TEST_F(RosterGateTest, CouriersOfAnOldRosterAreOut) {
  gate_->SetChain(Chain({{owner_, bulb_, courier_}, {owner_, bulb_}}));
  gate_->EpochEnded(0, clock_.Now());
  EXPECT_EQ(Publish(As(courier_), bulb_, telemetry_of(bulb_)), NoSuchInstantiation());
  EXPECT_EQ(Read(As(courier_), {telemetry_of(bulb_)}), NoSuchInstantiation());
  EXPECT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 0).ok());
  EXPECT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 1).ok());
}

TEST_F(RosterGateTest, TermsEndAtTheirSecond) {
  const int64_t soon = absl::ToUnixSeconds(clock_.Now() + absl::Hours(1));
  bulb_.expires_at = console_.expires_at = soon;
  gate_->SetChain(Chain({{owner_, bulb_, courier_, console_}}));
  EXPECT_EQ(gate_->NextExpiry(clock_.Now()), absl::FromUnixSeconds(soon));
  EXPECT_TRUE(Publish(As(courier_), bulb_, telemetry_of(bulb_)).ok());
  EXPECT_TRUE(Read(As(console_), {telemetry_of(bulb_)}).ok());
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(courier_), bulb_, telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(bulb_), bulb_, telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsPermissionDenied(Read(As(console_), {telemetry_of(bulb_)})));
  EXPECT_EQ(gate_->NextExpiry(clock_.Now()), absl::InfiniteFuture());
}

TEST_F(RosterGateTest, AnEvictedDeviceNeitherWritesNorReads) {
  gate_->Evict(bulb_.ckt());
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(bulb_), bulb_, telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsPermissionDenied(Publish(As(courier_), bulb_, telemetry_of(bulb_))));
  EXPECT_TRUE(absl::IsPermissionDenied(Read(As(bulb_), {Topic::Keyring()})));
  EXPECT_TRUE(Read(As(console_), {telemetry_of(bulb_)}).ok());
  gate_->Readmit(bulb_.ckt());
  EXPECT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_)).ok());
}

TEST_F(RosterGateTest, AHopThatLearnsCommitsLaterAsksASenderToWait) {
  RosterGateOptions waiting = options();
  waiting.wait_for_next_epoch = true;
  gate_.emplace(Chain({{owner_, bulb_, courier_}}), waiting);
  EXPECT_TRUE(absl::IsUnavailable(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 1)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 2)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Publish(As(courier_), bulb_, telemetry_of(bulb_), 1)));
  gate_->SetChain(Chain({{owner_, bulb_, courier_}, {owner_, bulb_, courier_}}));
  EXPECT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 1).ok());
}

TEST_F(RosterGateTest, WhatIsRememberedIsBounded) {
  RosterGateOptions small = options();
  small.max_remembered = 2;
  gate_.emplace(Chain({{owner_, bulb_, courier_}}), small);
  for (uint8_t i = 1; i < 20; ++i) {
    EXPECT_TRUE(Publish(As(bulb_), bulb_, telemetry_of(bulb_), 0, StreamId{{i}}).ok());
    EXPECT_FALSE(Publish(As(bulb_), owner_, telemetry_of(bulb_), 0, StreamId{{i}}).ok());
  }
}

}  // namespace
}  // namespace keystead
