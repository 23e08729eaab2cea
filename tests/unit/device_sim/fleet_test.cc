// What an owned device does, and how it comes to be owned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/membership/signed_object.h"
#include "tests/unit/device_sim/fleet_fixture.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::device_sim {
namespace {

TEST_F(FleetTest, JoinsByItsLabelMeasuresAndEndsInOrder) {
  options_ = home_.OptionsFor("thermo-1", "temperature");
  options_.label_out = home_.folder() + "/label";
  fleet_ = StartFleet(options_);
  const membership::Label label = Must(membership::ReadLabelFile(options_.label_out));
  const MemberId device = home_.Pair(label);
  home_.AwaitWord(device);
  ASSERT_TRUE(Eventually([&] { return home_.Read(device)->BodiesOf(kinds::kReadings).size() >= 5; }));
  fleet_->Stop(absl::Seconds(10));
  const auto read = home_.Read(device);
  const v1::ReadingBatch batch = Batch(read->BodiesOf(kinds::kReadings).front());
  EXPECT_EQ(batch.channels(0).name(), "temperature");
  EXPECT_EQ(batch.channels(0).unit(), "Cel");
  EXPECT_EQ(batch.readings(0).quality(), v1::QUALITY_GOOD);
  EXPECT_FALSE(read->BodiesOf(kinds::kReport).empty());
  EXPECT_TRUE(Must(ParseCheckpoint(AsBytes(read->BodiesOf(kinds::kCheckpoint).back()))).end);
  EXPECT_EQ(read->AlarmsBut({}), 0);
}

TEST_F(FleetTest, ARestartGoesOnWithoutPairingAndNamesWhereItEnded) {
  const MemberId bulb = StartBulb();
  RestartBulb(bulb);
  fleet_->Stop(absl::Seconds(10));
  const auto read = home_.Read(bulb);
  EXPECT_EQ(read->BodiesOf(kinds::kOpening).size(), 4u);  // telemetry and state, twice
  EXPECT_EQ(read->AlarmsBut({}), 0);
}

TEST_F(FleetTest, ACommandIsJudgedDoneAndAnswered) {
  const MemberId bulb = StartBulb();
  EXPECT_FALSE(BulbIsOn(bulb));
  const Digest hash = home_.owner().SendCommand(bulb, CommandFor(bulb, 1, "on"), home_.hop());
  const std::vector<Answer> answers = home_.AwaitAnswers(bulb, 1);
  EXPECT_EQ(answers[0].command_hash, hash);
  EXPECT_EQ(answers[0].result, CommandResult::kDone);
  EXPECT_EQ(answers[0].counter, 1u);
  EXPECT_TRUE(Eventually([&] { return BulbIsOn(bulb); }));
  Command dim = CommandFor(bulb, 2, "brightness");
  dim.operation.argument = 30;
  home_.owner().SendCommand(bulb, dim, home_.hop());
  EXPECT_EQ(home_.AwaitAnswers(bulb, 2)[1].result, CommandResult::kDone);
  EXPECT_TRUE(Eventually(
      [&] { return ValueOf(Batch(home_.Read(bulb)->BodiesOf(kinds::kReport).back()), "brightness") == 30; }));
}

TEST_F(FleetTest, CommandsThatMustNotActAreAnsweredWithTheReason) {
  const MemberId bulb = StartBulb();
  TestOwner& owner = home_.owner();
  std::vector<CommandResult> expected;
  const auto send = [&](const Command& command, CommandResult result) {
    owner.SendCommand(bulb, command, home_.hop());
    expected.push_back(result);
  };
  send(CommandFor(bulb, 5, "off"), CommandResult::kDone);
  send(CommandFor(bulb, 5, "on"), CommandResult::kReplayed);
  send(CommandFor(bulb, 4, "on"), CommandResult::kReplayed);
  Command late = CommandFor(bulb, 6, "on");
  late.until_uptime = absl::Milliseconds(1);
  send(late, CommandResult::kExpired);
  Command other_boot = CommandFor(bulb, 7, "on");
  other_boot.boot = RandomSource::System().NewId<BootId>();
  send(other_boot, CommandResult::kReboot);
  send(CommandFor(owner.self(), 8, "on"), CommandResult::kNotPermitted);
  Command foreign = CommandFor(bulb, 9, "on");
  foreign.signer = bulb;
  send(foreign, CommandResult::kNotPermitted);
  send(CommandFor(bulb, 10, "explode"), CommandResult::kUnsupported);
  const std::vector<Answer> answers = home_.AwaitAnswers(bulb, expected.size());
  ASSERT_EQ(answers.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(answers[i].result, expected[i]) << i;
  EXPECT_FALSE(BulbIsOn(bulb));
  fleet_->Stop(absl::Seconds(10));
}

TEST_F(FleetTest, AfterARebootOldCommandsStayUnansweredAndNewOnesForTheOldBootAreToldSo) {
  const MemberId bulb = StartBulb();
  TestOwner& owner = home_.owner();
  owner.SendCommand(bulb, CommandFor(bulb, 1, "on"), home_.hop());
  home_.AwaitAnswers(bulb, 1);
  ASSERT_TRUE(Eventually([&] { return BulbIsOn(bulb); }));
  const Command for_old_boot = CommandFor(bulb, 2, "off");
  RestartBulb(bulb);
  owner.SendCommand(bulb, for_old_boot, home_.hop());
  EXPECT_EQ(home_.AwaitAnswers(bulb, 2)[1].result, CommandResult::kReboot);
  // The mark outlives the boot.
  owner.SendCommand(bulb, CommandFor(bulb, 1, "on"), home_.hop());
  EXPECT_EQ(home_.AwaitAnswers(bulb, 3)[2].result, CommandResult::kReplayed);
  owner.SendCommand(bulb, CommandFor(bulb, 3, "on"), home_.hop());
  EXPECT_EQ(home_.AwaitAnswers(bulb, 4)[3].result, CommandResult::kDone);
  fleet_->Stop(absl::Seconds(10));
  EXPECT_EQ(home_.AwaitAnswers(bulb, 4).size(), 4u);  // the first was not answered again
  EXPECT_EQ(home_.Read(bulb)->AlarmsBut({}), 0);
}

TEST_F(FleetTest, ANewEpochGoesOnUnderNewKeysAndCommandsFollow) {
  const MemberId bulb = StartBulb();
  home_.owner().Commit({}, &home_.hop());
  const uint64_t epoch = home_.owner().member().chain().epoch();
  ASSERT_TRUE(Eventually([&] {
    const auto read = home_.Read(bulb);
    return std::ranges::any_of(read->records, [&](const auto& seen) {
      return seen.place.epoch == epoch && seen.kind == kinds::kReadings;
    });
  }));
  home_.owner().SendCommand(bulb, CommandFor(bulb, 1, "on"), home_.hop());
  EXPECT_EQ(home_.AwaitAnswers(bulb, 1)[0].result, CommandResult::kDone);
  fleet_->Stop(absl::Seconds(10));
  EXPECT_EQ(home_.Read(bulb)->AlarmsBut({}), 0);
}

TEST_F(FleetTest, ARemovedDeviceSaysNothingMore) {
  const MemberId bulb = StartBulb();
  home_.owner().Remove(bulb, &home_.hop());
  ASSERT_TRUE(Eventually([&] { return !fleet_->devices()[0]->running(); }));
  ASSERT_TRUE(Eventually([&] { return fleet_->devices()[0]->Totals().telemetry.journal_entries == 0; }));
  const uint64_t sealed = fleet_->devices()[0]->Totals().telemetry.sealed;
  EXPECT_FALSE(fleet_->devices()[0]->SendLoad(AsBytes("x")).ok());
  fleet_->Stop(absl::Seconds(1));
  fleet_.reset();
  // Nor after a restart.
  fleet_ = StartFleet(options_);
  EXPECT_FALSE(fleet_->devices()[0]->running());
  EXPECT_GT(sealed, 0u);
  fleet_->Stop(absl::ZeroDuration());
  fleet_.reset();
  // And no key of its last epoch lies in its file.
  const std::string file = ReadAll(options_.state + "/bulb-1.member");
  const Member member = Must(Member::Parse(SecretBytes::CopyOf(AsBytes(file.substr(file.find('\n') + 1)))));
  const uint64_t epoch = member.ring().epoch();
  EXPECT_FALSE(member.ring().SenderKeyFor(epoch, Topic::Of(TopicKind::kTelemetry, bulb), bulb).ok());
  EXPECT_FALSE(member.ring().TopicKeyFor(Topic::Of(TopicKind::kCommand, bulb)).ok());
}

TEST_F(FleetTest, AProbeIsEchoedSoon) {
  const MemberId bulb = StartBulb();
  home_.owner().SendProbe(home_.hop());
  ASSERT_TRUE(Eventually([&] {
    const auto read = home_.Read(bulb);
    for (const std::string& body : read->BodiesOf(kinds::kCheckpoint)) {
      if (!Must(ParseCheckpoint(AsBytes(body))).freshness.echoes.empty()) return true;
    }
    return false;
  }));
}

TEST_F(FleetTest, AFactoryResetForgetsTheOwnerAndAnotherMayPair) {
  StartBulb();
  const membership::Label before = fleet_->devices()[0]->label();
  fleet_->Stop(absl::Seconds(10));
  fleet_.reset();
  options_.reset = true;
  fleet_ = StartFleet(options_);
  EXPECT_FALSE(fleet_->devices()[0]->running());
  home_.NewOwner();
  home_.owner().Commit({}, &home_.hop());
  const membership::Label label = fleet_->devices()[0]->label();
  EXPECT_TRUE(label.setup_code.ConstantTimeEquals(before.setup_code));
  // The announcement of before the reset still stands in the box: the new one comes behind it.
  ASSERT_TRUE(Eventually([&] { return home_.AnnouncementsOf(label) >= 2; }));
  const MemberId bulb = home_.Pair(label);
  home_.AwaitWord(bulb);
  fleet_->Stop(absl::Seconds(10));
  EXPECT_EQ(home_.Read(bulb)->AlarmsBut({}), 0);
  EXPECT_EQ(home_.Read(bulb)->BodiesOf(kinds::kOpening).size(), 2u);
}

TEST_F(FleetTest, AContestedDeviceIsNobodysHoweverLateTheFirstClaimantsCommitComes) {
  options_ = home_.OptionsFor("bulb-1", "lightbulb");
  fleet_ = StartFleet(options_);
  const membership::Label label = fleet_->devices()[0]->label();
  const JoinedMember joined = home_.AwaitM2(home_.Claim(home_.owner(), label));
  ASSERT_TRUE(Eventually([&] { return home_.hop().Subscriptions() == 1; })) << "it follows the offer";
  TestOwner rival;
  rival.Commit({}, &home_.hop());
  home_.Claim(rival, label);
  ASSERT_TRUE(Eventually([&] { return !fleet_->devices()[0]->WantsJoin(false); })) << "contested";
  home_.owner().Add(joined, &home_.hop());
  EXPECT_TRUE(Eventually([&] { return home_.hop().Subscriptions() == 0; })) << "and follows it no more";
  EXPECT_FALSE(fleet_->devices()[0]->running());
  fleet_->Stop(absl::ZeroDuration());
  fleet_.reset();
  EXPECT_FALSE(std::filesystem::exists(options_.state + "/bulb-1.member"));
  fleet_ = StartFleet(options_);
  EXPECT_FALSE(fleet_->devices()[0]->running());
}

TEST_F(FleetTest, AfterTheLeaseOnlyTheOwnerIsObeyed) {
  options_ = home_.OptionsFor("bulb-1", "lightbulb");
  const absl::Duration lease = absl::Seconds(4);
  options_.lease_days = absl::FDivDuration(lease, absl::Hours(24));
  fleet_ = StartFleet(options_);
  const MemberId bulb = home_.Pair(fleet_->devices()[0]->label());
  const TestOwner::Phone phone = home_.owner().AddPhone(bulb, &home_.hop());
  word_ = home_.AwaitWord(bulb);
  absl::Duration heard = absl::InfiniteDuration();
  ASSERT_TRUE(Eventually([&] {  // the device knows of the phone, and its lease is over
    word_ = home_.AwaitWord(bulb);
    if (word_.commit_hash != home_.owner().member().chain().head().hash) return false;
    heard = std::min(heard, word_.uptime);
    return word_.uptime > heard + lease;
  }));
  const auto send = [&](uint64_t counter) {
    Command command = CommandFor(bulb, counter, "on");
    command.signer = phone.id;
    home_.owner().SendCommandAs(phone.id, phone.ik, bulb, command, home_.hop());
  };
  send(1);
  EXPECT_EQ(home_.AwaitAnswers(bulb, 1)[0].result, CommandResult::kLeaseOver);
  EXPECT_FALSE(BulbIsOn(bulb));
  home_.owner().SendCommand(bulb, CommandFor(bulb, 1, "off"), home_.hop());
  EXPECT_EQ(home_.AwaitAnswers(bulb, 2)[1].result, CommandResult::kDone);
  home_.owner().SendHead(1, home_.hop());
  ASSERT_TRUE(Eventually([&] { return (word_ = home_.AwaitWord(bulb)).hseq == 1; }));
  send(2);
  EXPECT_EQ(home_.AwaitAnswers(bulb, 3)[2].result, CommandResult::kDone) << "the owner was heard";
  fleet_->Stop(absl::Seconds(10));
  fleet_.reset();
  // The start itself costs an hour, and a lease of seconds is over.
  fleet_ = StartFleet(options_);
  word_ = home_.AwaitWord(bulb, word_.boot);
  send(3);
  EXPECT_EQ(home_.AwaitAnswers(bulb, 4)[3].result, CommandResult::kLeaseOver);
}

TEST_F(FleetTest, WithoutALocalActNobodyPairsADeviceThatWasStartedBefore) {
  options_ = home_.OptionsFor("bulb-1", "lightbulb");
  fleet_ = StartFleet(options_);
  fleet_->Stop(absl::ZeroDuration());
  fleet_.reset();
  fleet_ = StartFleet(options_);
  EXPECT_FALSE(fleet_->devices()[0]->WantsJoin(false));
  EXPECT_TRUE(fleet_->devices()[0]->WantsJoin(true));
}

TEST_F(FleetTest, WithoutAHopItsOutputBecomesWhatWasDeclaredSafeAndStaysSo) {
  options_ = home_.OptionsFor("bulb-1", "lightbulb");
  options_.safe_operation = "dance";
  EXPECT_TRUE(absl::IsInvalidArgument(Fleet::Create(options_).status()))
      << "said at the start, not when it matters";
  options_.safe_operation = "off";
  options_.safe_after_seconds = 1;
  fleet_ = StartFleet(options_);
  const MemberId bulb = home_.Pair(fleet_->devices()[0]->label());
  word_ = home_.AwaitWord(bulb);
  home_.owner().SendCommand(bulb, CommandFor(bulb, 1, "on"), home_.hop());
  home_.AwaitAnswers(bulb, 1);
  ASSERT_TRUE(Eventually([&] { return BulbIsOn(bulb); }));
  home_.hop().Stop();
  ASSERT_TRUE(Eventually([&] { return fleet_->devices()[0]->Totals().went_safe == 1; }));
  home_.hop().Start();
  ASSERT_TRUE(Eventually([&] { return !BulbIsOn(bulb); })) << "and says so afterwards";
  word_ = home_.AwaitWord(bulb);
  home_.owner().SendCommand(bulb, CommandFor(bulb, 2, "on"), home_.hop());
  home_.AwaitAnswers(bulb, 2);
  EXPECT_TRUE(Eventually([&] { return BulbIsOn(bulb); }));
}

TEST_F(FleetTest, LossIsSaidWhenTheJournalOverflows) {
  options_ = home_.OptionsFor("thermo-1", "temperature");
  options_.journal_bytes = 4096;
  fleet_ = StartFleet(options_);
  const MemberId device = home_.Pair(fleet_->devices()[0]->label());
  home_.AwaitWord(device);
  home_.hop().Stop();
  ASSERT_TRUE(Eventually([&] { return fleet_->devices()[0]->Totals().telemetry.lost > 3; }));
  home_.hop().Start();
  ASSERT_TRUE(Eventually([&] { return !home_.Read(device)->BodiesOf(kinds::kLoss).empty(); }));
  fleet_->Stop(absl::Seconds(10));
  const auto read = home_.Read(device);
  uint64_t reported = 0;
  for (const std::string& body : read->BodiesOf(kinds::kLoss)) {
    const Loss loss = Must(ParseLoss(AsBytes(body)));
    reported += loss.last_sequence - loss.first_sequence + 1;
  }
  EXPECT_EQ(reported, read->Missing());
  EXPECT_EQ(read->AlarmsBut({"missing", "loss_reported"}), 0);
}

TEST_F(FleetTest, ManyDevicesEachWithItsOwnIdentityAndLoad) {
  constexpr size_t kCount = 40;
  options_ = home_.OptionsForMany("many-", kCount);
  options_.batch = 8;
  options_.reading_bytes = 64;
  options_.readings_per_second = 4000;
  fleet_ = StartFleet(options_);
  std::vector<membership::Label> labels;
  std::vector<const membership::Label*> pointers;
  for (const auto& device : fleet_->devices()) labels.push_back(device->label());
  for (const membership::Label& label : labels) pointers.push_back(&label);
  const std::vector<MemberId> members = home_.PairAll(pointers);
  for (const MemberId& member : members) home_.AwaitWord(member);
  ASSERT_TRUE(Eventually([&] { return home_.Read(members.back())->BodiesOf(kinds::kReadings).size() >= 5; }));
  fleet_->Stop(absl::Seconds(20));
  for (const MemberId& member : members) {
    const auto read = home_.Read(member);
    EXPECT_EQ(read->AlarmsBut({}), 0);
    EXPECT_EQ(Batch(read->BodiesOf(kinds::kReadings).back()).readings_size(), 8);
  }
}

}  // namespace
}  // namespace keystead::device_sim
