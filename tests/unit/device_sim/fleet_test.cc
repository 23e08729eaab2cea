#include "device-sim/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/membership/signed_object.h"
#include "keystead/v1/readings.pb.h"
#include "tests/unit/device_sim/home.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::device_sim {
namespace {

using ::testing::HasSubstr;
using namespace keystead::testing;  // NOLINT: the owner's side of the tests

std::unique_ptr<Fleet> StartFleet(const Options& options) {
  std::unique_ptr<Fleet> fleet = Must(Fleet::Create(options));
  const absl::Status started = fleet->Start();
  EXPECT_TRUE(started.ok()) << started;
  return fleet;
}

v1::ReadingBatch Batch(const std::string& body) {
  v1::ReadingBatch batch;
  EXPECT_TRUE(batch.ParseFromString(body));
  return batch;
}

double ValueOf(const v1::ReadingBatch& batch, std::string_view name) {
  for (const v1::Reading& reading : batch.readings()) {
    if (batch.channels(static_cast<int>(reading.channel())).name() == name) return reading.value();
  }
  ADD_FAILURE() << "no channel " << name;
  return -1;
}

class FleetTest : public ::testing::Test {
 protected:
  // A bulb that has joined and is heard.
  MemberId StartBulb() {
    options_ = home_.OptionsFor("bulb-1", "lightbulb");
    fleet_ = StartFleet(options_);
    const membership::Label label = fleet_->devices()[0]->label();
    const MemberId bulb = home_.Pair(label);
    word_ = home_.AwaitWord(bulb);
    return bulb;
  }
  void RestartBulb(const MemberId& bulb) {
    const BootId before = word_.boot;
    fleet_->Stop(absl::Seconds(10));
    fleet_.reset();
    fleet_ = StartFleet(options_);
    word_ = home_.AwaitWord(bulb, before);
  }
  Command CommandFor(const MemberId& target, uint64_t counter, const std::string& name) {
    Command command;
    command.target = target;
    command.signer = home_.owner().self();
    command.counter = counter;
    command.boot = word_.boot;
    command.until_uptime = word_.uptime + absl::Minutes(1);
    command.operation.name = name;
    return command;
  }
  bool BulbIsOn(const MemberId& bulb) {
    return ValueOf(Batch(home_.Read(bulb)->BodiesOf(kinds::kReport).back()), "on") == 1;
  }

  Home home_;
  Options options_;
  std::unique_ptr<Fleet> fleet_;
  Freshness word_;
};

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

TEST_F(FleetTest, WithoutALocalActNobodyPairsADeviceThatWasStartedBefore) {
  options_ = home_.OptionsFor("bulb-1", "lightbulb");
  fleet_ = StartFleet(options_);
  fleet_->Stop(absl::ZeroDuration());
  fleet_.reset();
  fleet_ = StartFleet(options_);
  EXPECT_FALSE(fleet_->devices()[0]->WantsJoin(false));
  EXPECT_TRUE(fleet_->devices()[0]->WantsJoin(true));
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

// Starting up
// ------------------------------------------------------------------------------------------------------------

class FleetStartTest : public FleetTest {
 protected:
  void SetUp() override { options_ = home_.OptionsFor("bulb-1", "lightbulb"); }
  std::string Why() {
    const auto fleet = Fleet::Create(options_);
    EXPECT_FALSE(fleet.ok());
    return std::string(Std(fleet.status().message()));
  }
};

TEST_F(FleetStartTest, OneProcessAtATimeHasAState) {
  fleet_ = StartFleet(options_);
  EXPECT_THAT(Why(), HasSubstr("in use by another process"));
}

TEST_F(FleetStartTest, DamagedFilesAreNamed) {
  fleet_ = StartFleet(options_);
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(options_.state + "/bulb-1.join"); }));
  fleet_.reset();
  for (const std::string name : {"bulb-1.factory", "bulb-1.join"}) {
    const std::string path = options_.state + "/" + name;
    const std::string good = ReadAll(path);
    for (const std::string& bad : {good.substr(0, good.size() / 2), good + "x", std::string("junk")}) {
      WriteAll(path, bad);
      EXPECT_THAT(Why(), HasSubstr(path + " is damaged"));
    }
    WriteAll(path, good);
  }
  const absl::Status again = Fleet::Create(options_).status();
  EXPECT_TRUE(again.ok()) << again;
}

TEST_F(FleetStartTest, AnOwnedDeviceWithoutItsKeysSaysSo) {
  StartBulb();
  fleet_->Stop(absl::Seconds(10));
  fleet_.reset();
  std::filesystem::remove(options_.state + "/bulb-1.member");
  EXPECT_THAT(Why(), HasSubstr("bulb-1.member is missing"));
}

TEST_F(FleetStartTest, CertificatesMustBeThereAndTheDevices) {
  options_.id = "nobody";
  EXPECT_THAT(Why(), HasSubstr("nobody/chain.pem"));
  options_ = home_.OptionsFor("bulb-1", "lightbulb");
  home_.OptionsFor("bulb-2", "lightbulb");
  const std::string other = options_.certs + "/bulb-2";
  options_.tls = {other + "/chain.pem", other + "/key.pem", options_.roots};
  options_.certs.clear();
  EXPECT_THAT(Why(), HasSubstr("is for spiffe://acme.keystead.example/device/bulb-2, not for device bulb-1"));
  EXPECT_FALSE(std::filesystem::exists(options_.state + "/bulb-1.factory"));  // nothing half-made
}

TEST_F(FleetStartTest, AMalformedCsvIsToldWithFileLineAndReason) {
  const std::string csv = home_.folder() + "/trace.csv";
  WriteAll(csv, "time,t\n1,20\n2,warm\n");
  options_.kind = "replay";
  options_.replay_file = csv;
  options_.replay_column = "t";
  EXPECT_THAT(Why(), HasSubstr(csv + ":3: "));
}

TEST_F(FleetStartTest, OptionsThatDoNotGoTogetherAreRefused) {
  const Options good = options_;
  const auto refused = [&](const std::function<void(Options&)>& change) {
    options_ = good;
    change(options_);
    EXPECT_EQ(Fleet::Create(options_).status().code(), absl::StatusCode::kInvalidArgument);
  };
  refused([](Options& o) { o.id.clear(); });
  refused([](Options& o) { o.id = "../x"; });
  refused([](Options& o) { o.tls.chain = "x"; });
  refused([](Options& o) { o.certs.clear(); });
  refused([](Options& o) { o.kind = "replay"; });
  refused([](Options& o) { o.replay_file = "x"; });
  refused([](Options& o) { o.batch = 4096; });
  refused([](Options& o) { o.next_hop_id = "backend"; });
}

TEST_F(FleetStartTest, ALabelFileIsWrittenOnceAndNeverOverSomethingElse) {
  options_.label_out = home_.folder() + "/label";
  EXPECT_TRUE(Fleet::Create(options_).ok());
  EXPECT_TRUE(Fleet::Create(options_).ok());
  EXPECT_EQ(std::filesystem::status(options_.label_out).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  options_.state = home_.folder() + "/other-state";  // another device of the same name
  EXPECT_THAT(Why(), HasSubstr("is not this device's label"));
}

}  // namespace
}  // namespace keystead::device_sim
