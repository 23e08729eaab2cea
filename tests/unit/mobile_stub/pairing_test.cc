#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/cose/cose_key.h"
#include "mobile-stub/members.h"
#include "mobile-stub/membership.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using ::testing::HasSubstr;
using testing::Home;
using testing::Must;
using testing::TestDevice;

constexpr absl::Duration kShort = absl::Milliseconds(700);

PairRequest For(membership::Label label, absl::Duration patience) {
  PairRequest request;
  request.labels.push_back(std::move(label));
  request.patience = patience;
  return request;
}

Member Stored(const Home& home) { return Must(home.App()->state().LoadMember()); }

TEST(PairingTest, AddsADeviceWithTheRightsOfADevice) {
  Home home;
  const auto device = home.NewDevice("thermo-1");
  const PairOutcome outcome = home.Pair({device.get()});
  ASSERT_EQ(outcome.paired.size(), 1u);
  EXPECT_EQ(outcome.paired[0].device_id, "thermo-1");
  EXPECT_EQ(outcome.paired[0].kind, "thermometer");
  EXPECT_EQ(outcome.epoch, 1u);
  const Member member = Stored(home);
  const RosterEntry* entry = member.chain().roster().Find(device->self());
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->kind, MemberKind::kDevice);
  EXPECT_EQ(entry->rights, DefaultDeviceRights(device->self()));
  EXPECT_EQ(Must(home.App()->state().LoadKinds()).at(device->self()), "thermometer");
}

TEST(PairingTest, SeveralLabelsMakeOneCommit) {
  Home home;
  const auto a = home.NewDevice("a"), b = home.NewDevice("b"), c = home.NewDevice("hall", "gateway");
  EXPECT_EQ(home.Pair({a.get(), b.get(), c.get()}).epoch, 1u);
  EXPECT_EQ(home.registry().commits, 2u);  // commit 0, the owner alone, and one for all three
  const Member member = Stored(home);
  const RosterEntry* gateway = member.chain().roster().Find(c->self());
  ASSERT_NE(gateway, nullptr);
  EXPECT_EQ(gateway->kind, MemberKind::kGateway);
  EXPECT_TRUE(gateway->rights.empty());
}

TEST(PairingTest, RecoveryKeyIsShownOnceAndIsTheOneInCommitZero) {
  Home home;
  int shown = 0;
  SecretBytes text;
  const RecoverySink sink = [&](const SecretBytes& t) {
    ++shown;
    text = t.Clone();
    return absl::OkStatus();
  };
  const auto a = home.NewDevice("a"), b = home.NewDevice("b");
  for (TestDevice* device : {a.get(), b.get()}) {
    device->Start();
    const auto engine = home.App();
    EXPECT_TRUE(PairDevices(*engine, For(device->Label(), testing::kPatience), sink, nullptr).ok());
  }
  EXPECT_EQ(shown, 1);
  const Bytes scalar = Must(FromHex(AsChars(text.ExposeSecret()).substr(6)));
  const auto rk = Must(crypto::EcdsaKeyPair::FromPrivateScalar(SecretBytes::CopyOf(scalar)));
  EXPECT_EQ(Stored(home).chain().head().body.recovery_ckt, cose::Ckt(rk.public_key()));
}

TEST(PairingTest, RecoveryKeyThatCannotBeKeptStopsEverything) {
  Home home;
  const auto device = home.NewDevice("a");
  const auto engine = home.App();
  const auto outcome = PairDevices(
      *engine, For(device->Label(), kShort),
      [](const SecretBytes&) { return absl::DataLossError("no paper"); }, nullptr);
  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(engine->state().HasOwner());
}

TEST(PairingTest, WrongSetupCodeFindsNobody) {
  Home home;
  const auto device = home.NewDevice("a");
  device->Start();
  membership::Label label = device->Label();
  label.setup_code.MutableSecret()[0] ^= 1;
  const auto outcome =
      Must(PairDevices(*home.App(), For(std::move(label), kShort), Home::IgnoreRecovery(), nullptr));
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(outcome.failed[0].status));
  EXPECT_THAT(std::string(outcome.failed[0].status.message()), HasSubstr("did not announce itself"));
  EXPECT_EQ(home.registry().commits, 1u);
  EXPECT_FALSE(device->owned());
}

TEST(PairingTest, AnnouncementOfAnotherKeyIsRefusedAndReported) {
  Home home;
  const auto device = home.NewDevice("a");
  device->Start();
  membership::Label label = device->Label();
  label.ckt = RandomSource::System().NewId<Digest>();
  std::vector<Progress> steps;
  const auto outcome = Must(PairDevices(*home.App(), For(std::move(label), kShort), Home::IgnoreRecovery(),
                                        [&](const Progress& p) { steps.push_back(p); }));
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_TRUE(outcome.paired.empty());
  EXPECT_TRUE(std::ranges::any_of(steps, [](const Progress& p) { return p.event == "refused"; }));
  EXPECT_FALSE(device->owned());
}

TEST(PairingTest, WithoutM2TheDeviceIsNotYours) {
  Home home;
  const TenantName tenant = Must(TenantName::Parse("acme.keystead.example"));
  const auto ik = Must(crypto::EcdsaKeyPair::Generate());
  const SecretBytes code = RandomSource::System().Secret(membership::kSetupCodeBytes);
  JoinResponder responder({tenant, "a", "lightbulb", "spiffe://acme.keystead.example/device/a", &ik, &code},
                          RandomSource::System());
  ASSERT_TRUE(responder.Arm(RandomSource::System().NewId<BootId>(), absl::Seconds(1)).ok());
  home.rendezvous().PutForged(Must(responder.announcement_box()), ToString(responder.announcement()));
  home.rendezvous().PutForged(Must(responder.m2_box()), "no answer to any M1");
  std::vector<Progress> steps;
  const auto outcome =
      Must(PairDevices(*home.App(), For({tenant, "a", cose::Ckt(ik.public_key()), code.Clone()}, kShort),
                       Home::IgnoreRecovery(), [&](const Progress& p) { steps.push_back(p); }));
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_EQ(outcome.failed[0].status.message(), "this device is not yours yet: reset it");
  EXPECT_TRUE(std::ranges::any_of(steps, [](const Progress& p) { return p.event == "m1_sent"; }));
  EXPECT_TRUE(std::ranges::any_of(steps, [](const Progress& p) { return p.event == "refused"; }));
  EXPECT_EQ(Stored(home).chain().roster().entries().size(), 1u);
}

TEST(PairingTest, DeviceThatIsYoursAlreadyIsSaidToBe) {
  Home home;
  const auto device = home.NewDevice("a");
  home.Pair({device.get()});
  device->Stop();  // it answers no further M1
  std::vector<Progress> steps;
  const auto outcome = Must(PairDevices(*home.App(), For(device->Label(), kShort), Home::IgnoreRecovery(),
                                        [&](const Progress& p) { steps.push_back(p); }));
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_TRUE(absl::IsAlreadyExists(outcome.failed[0].status)) << outcome.failed[0].status;
  EXPECT_THAT(std::string(outcome.failed[0].status.message()), HasSubstr("yours already"));
  EXPECT_TRUE(std::ranges::any_of(steps, [](const Progress& p) { return p.event == "is_yours_already"; }));
}

TEST(PairingTest, HopThatAnswersAtOnceWithNothingIsNotAskedWithoutPause) {
  Home home;
  const auto device = home.NewDevice("a");
  home.rendezvous().answers_at_once = true;
  const auto outcome =
      Must(PairDevices(*home.App(), For(device->Label(), absl::Seconds(1)), Home::IgnoreRecovery(), nullptr));
  EXPECT_EQ(outcome.failed.size(), 1u);
  EXPECT_GE(home.rendezvous().awaits, 2u);
  EXPECT_LE(home.rendezvous().awaits, 8u);
}

TEST(PairingTest, LimitThatIsReachedIsWaitedFor) {
  Home home;
  const auto device = home.NewDevice("a");
  device->Start();
  const auto engine = home.App();
  const auto outcome = Must(PairDevices(*engine, For(device->Label(), testing::kPatience),
                                        Home::IgnoreRecovery(), [&](const Progress& step) {
                                          if (step.event == "announced") home.rendezvous().refuses = 12;
                                        }));
  EXPECT_EQ(outcome.paired.size(), 1u);
  EXPECT_EQ(home.rendezvous().refuses, 0);
}

TEST(PairingTest, MailboxThatStaysFullIsAnErrorOfThatDevice) {
  Home home;
  const auto device = home.NewDevice("a");
  device->Start();
  const auto engine = home.App();
  PairRequest request = For(device->Label(), testing::kPatience);
  int before = 0;
  const auto outcome = Must(PairDevices(*engine, request, Home::IgnoreRecovery(), [&](const Progress& step) {
    if (step.event != "announced") return;
    before = home.rendezvous().puts;
    home.rendezvous().without_wait = 3;  // to be tried again; then there is nothing to wait for any more
    home.rendezvous().wait_seconds = 3600;
    home.rendezvous().full = true;
  }));
  EXPECT_GE(home.rendezvous().puts, before + 4);
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_TRUE(absl::IsResourceExhausted(outcome.failed[0].status)) << outcome.failed[0].status;
}

// The hop says when there is room again. Where that is too late, nobody waits and nothing is tried in vain.
TEST(PairingTest, LimitThatLastsLongerThanThePatienceIsToldAtOnce) {
  Home home;
  const auto device = home.NewDevice("a");
  device->Start();
  const auto engine = home.App();
  int before = 0;
  PairRequest request = For(device->Label(), testing::kPatience);
  const auto outcome = Must(PairDevices(*engine, request, Home::IgnoreRecovery(), [&](const Progress& step) {
    if (step.event != "announced") return;
    home.rendezvous().wait_seconds = 3600;
    before = home.rendezvous().puts;
    home.rendezvous().full = true;
  }));
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_TRUE(absl::IsResourceExhausted(outcome.failed[0].status)) << outcome.failed[0].status;
  EXPECT_EQ(home.rendezvous().puts, before + 1);
}

TEST(PairingTest, LabelOfAnotherTenantIsRefused) {
  Home home;
  const auto device = home.NewDevice("a");
  membership::Label label = device->Label();
  label.tenant = Must(TenantName::Parse("globex.keystead.example"));
  const auto outcome =
      Must(PairDevices(*home.App(), For(std::move(label), kShort), Home::IgnoreRecovery(), nullptr));
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(outcome.failed[0].status));
}

TEST(MembershipTest, RefusalsThatPassDoNotStopAChange) {
  Home home;
  const auto device = home.NewDevice("a");
  home.Pair({device.get()});
  home.registry().Lies(2, {.answer = grpc::StatusCode::ABORTED});
  const auto engine = home.App();
  const SpiffeId courier = Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/balancer"));
  const Member member = Must(AddCourier(*engine, courier));
  EXPECT_EQ(member.chain().epoch(), 2u);
  const RosterEntry* entry = member.chain().roster().FindByTransport(courier.str());
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->kind, MemberKind::kCourier);
  EXPECT_TRUE(absl::IsAlreadyExists(AddCourier(*engine, courier).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      AddCourier(*engine, Must(SpiffeId::Parse("spiffe://globex.keystead.example/gateway/x"))).status()));
}

TEST(MembershipTest, CommitWhoseAnswerWasLostIsNotLost) {
  Home home;
  const auto device = home.NewDevice("a");
  home.Pair({device.get()});
  home.registry().Lies(1, {.store = true, .answer = grpc::StatusCode::DEADLINE_EXCEEDED});
  home.registry().shows_below = 2;
  const auto engine = home.App();
  EXPECT_FALSE(AddCourier(*engine, Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/one"))).ok());
  EXPECT_EQ(Stored(home).chain().epoch(), 1u);
  home.registry().BeHonest();
  const Member member =
      Must(AddCourier(*engine, Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/two"))));
  EXPECT_EQ(member.chain().epoch(), 3u);
  EXPECT_NE(member.chain().roster().FindByTransport("spiffe://acme.keystead.example/gateway/one"), nullptr);
  device->AwaitEpoch(3);
}

TEST(MembershipTest, OldCopyOfTheStateIsRecognised) {
  Home home;
  const auto device = home.NewDevice("a");
  home.Pair({device.get()});
  const std::string copy = home.state_folder() + "-copy";
  std::filesystem::copy(home.state_folder(), copy);
  ASSERT_TRUE(
      AddCourier(*home.App(), Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/one"))).ok());
  std::filesystem::remove_all(home.state_folder());
  std::filesystem::rename(copy, home.state_folder());
  const auto again =
      AddCourier(*home.App(), Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/two")));
  EXPECT_TRUE(absl::IsFailedPrecondition(again.status())) << again.status();
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("old copy"));
}

TEST(MembershipTest, RemovedDeviceStaysBehindAndTheOthersFollow) {
  Home home;
  const auto a = home.NewDevice("a"), b = home.NewDevice("b");
  home.Pair({a.get(), b.get()});
  EXPECT_TRUE(absl::IsInvalidArgument(RemoveMember(*home.App(), "nobody").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(RemoveMember(*home.App(), "app-home").status()));
  const Member member = Must(RemoveMember(*home.App(), "a"));
  EXPECT_EQ(member.chain().roster().Find(a->self()), nullptr);
  b->AwaitEpoch(2);
  EXPECT_EQ(DeviceIdOf(member.chain(), a->self()), "a");
}

TEST(MembershipTest, DeviceThatWasResetTakesItsOldPlace) {
  Home home;
  auto first = home.NewDevice("a");
  home.Pair({first.get()});
  const MemberId before = first->self();
  first.reset();
  const auto second = home.NewDevice("a");  // fresh keys, the same transport identity
  home.Pair({second.get()});
  const Member member = Stored(home);
  EXPECT_EQ(member.chain().roster().Find(before), nullptr);
  EXPECT_NE(member.chain().roster().Find(second->self()), nullptr);
}

}  // namespace
}  // namespace keystead::mobile
