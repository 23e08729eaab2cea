// Starting up: what is refused, what is told, and what is never made anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "device-sim/readings.h"
#include "tests/unit/device_sim/fleet_fixture.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::device_sim {
namespace {

using ::testing::HasSubstr;

class FleetStartTest : public FleetTest {
 protected:
  void SetUp() override { options_ = home_.OptionsFor("bulb-1", "lightbulb"); }
  // The reset counter in the newest announcement of the one device.
  uint64_t CounterAnnounced() {
    const membership::Label label = fleet_->devices()[0]->label();
    const size_t before = announcements_;
    EXPECT_TRUE(Eventually([&] { return (announcements_ = home_.AnnouncementsOf(label)) > before; }));
    return Must(VerifyAnnouncement(AsBytes(home_.LastAnnouncementOf(label)), label)).reset_counter;
  }
  size_t announcements_ = 0;
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

// What is lost is told, nothing else is thrown away for it, and what it tells to do works.
TEST_F(FleetStartTest, AnOwnedDeviceWithoutOneOfItsFilesSaysSoAndKeepsTheOthers) {
  const MemberId bulb = StartBulb();
  fleet_->Stop(absl::Seconds(10));
  fleet_.reset();
  for (const std::string name : {"bulb-1.member", "bulb-1.join", "bulb-1.factory"}) {
    const std::string path = options_.state + "/" + name;
    const std::string good = ReadAll(path);
    std::filesystem::remove(path);
    EXPECT_THAT(Why(), HasSubstr(path + " is missing: restore it"));
    EXPECT_FALSE(std::filesystem::exists(path));
    WriteAll(path, good);
  }
  fleet_ = StartFleet(options_);
  EXPECT_TRUE(fleet_->devices()[0]->running());
  home_.AwaitWord(bulb, word_.boot);
}

TEST_F(FleetStartTest, AResetWorksWithoutTheFilesItForgetsAndTheCounterStillRises) {
  fleet_ = StartFleet(options_);
  uint64_t counter = CounterAnnounced();
  EXPECT_EQ(counter, 0u);
  options_.reset = true;
  const std::string join = options_.state + "/bulb-1.join";
  for (const auto& spoil : std::vector<std::function<void()>>{[] {}, [&] { std::filesystem::remove(join); },
                                                              [&] { WriteAll(join, "junk"); }}) {
    fleet_->Stop(absl::ZeroDuration());
    fleet_.reset();
    spoil();
    fleet_ = StartFleet(options_);
    EXPECT_EQ(CounterAnnounced(), ++counter);
  }
}

TEST_F(FleetStartTest, FilesOfAnotherVersionOrDeviceAreToldApart) {
  StartBulb();
  fleet_->Stop(absl::Seconds(10));
  fleet_.reset();
  for (const std::string name : {"bulb-1.factory", "bulb-1.join", "bulb-1.member"}) {
    const std::string path = options_.state + "/" + name;
    const std::string good = ReadAll(path);
    std::string newer = good;
    newer[newer.find(' ') + 1] = '9';
    WriteAll(path, newer);
    EXPECT_THAT(Why(), HasSubstr(path + " is of format version 9; this program reads version 1"));
    WriteAll(path, good);
  }
  const Options bulb = options_;
  options_ = home_.OptionsFor("bulb-2", "lightbulb");
  fleet_ = StartFleet(options_);
  fleet_.reset();
  std::filesystem::copy_file(options_.state + "/bulb-2.factory", options_.state + "/bulb-1.factory",
                             std::filesystem::copy_options::overwrite_existing);
  options_ = bulb;
  EXPECT_THAT(Why(), HasSubstr("is of another device than"));
}

TEST(TakenAtTest, AnOpenLoopStampsWhenAReadingWasDue) {
  const absl::Time start = absl::FromUnixSeconds(1'800'000'000);
  const absl::Time late = start + absl::Seconds(60);
  EXPECT_EQ(TakenAt(start, 100, 250, late), start + absl::Milliseconds(2500)) << "not when it was sent";
  EXPECT_EQ(TakenAt(start, 100, 6001, late), late) << "the rest of a burst is not of the future";
  EXPECT_EQ(TakenAt(start, 0, 250, late), late);
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
  refused([](Options& o) { o.factory.chain = "x"; });
  refused([](Options& o) { o.factory = {"x", "y", ""}, o.factory_certs = "z"; });
  refused([](Options& o) { o.factory = {"x", "y", ""}, o.id.clear(), o.id_prefix = "d-"; });
  refused([](Options& o) { o.kind = "replay"; });
  refused([](Options& o) { o.replay_file = "x"; });
  refused([](Options& o) { o.replay_unit.clear(); });
  refused([](Options& o) { o.batch = 4096; });
  refused([](Options& o) { o.next_hop_id = "backend"; });
}

TEST_F(FleetStartTest, ALabelFileIsWrittenOnceAndNeverOverSomethingElse) {
  options_.label_out = home_.folder() + "/label";
  EXPECT_TRUE(Fleet::Create(options_).ok());
  EXPECT_TRUE(Fleet::Create(options_).ok());
  EXPECT_EQ(std::filesystem::status(options_.label_out).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::permissions(options_.label_out, std::filesystem::perms(0644));
  EXPECT_THAT(Why(), HasSubstr("chmod 600"));
  std::filesystem::permissions(options_.label_out, std::filesystem::perms(0600));
  options_.state = home_.folder() + "/other-state";  // another device of the same name
  EXPECT_THAT(Why(), HasSubstr("is not this label"));
}

}  // namespace
}  // namespace keystead::device_sim
