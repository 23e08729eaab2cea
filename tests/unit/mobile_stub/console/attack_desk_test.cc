// The desk that arms attacks and tells what became of them, against equipment that does as it likes.
#include "mobile-stub/console/attack_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/unit/mobile_stub/console/equipment.h"

namespace keystead::console {
namespace {

using nlohmann::json;
using testing::Equipment;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class AttackDeskTest : public ::testing::Test {
 protected:
  void Open(std::vector<RemoteOptions> remotes) {
    auto desk = AttackDesk::Open(std::move(remotes), &notes_, &clock_);
    ASSERT_TRUE(desk.ok()) << desk.status();
    desk_ = *std::move(desk);
  }
  v1::Injection At(uint64_t sequence) const {
    v1::Injection injection;
    injection.set_stream(place_.stream.ToString());
    injection.set_sequence(sequence);
    return injection;
  }

  ManualClock clock_;
  StreamPlace place_;
  ReaderNotes notes_{&clock_};
  Equipment one_, other_;
  std::unique_ptr<AttackDesk> desk_;
};

TEST_F(AttackDeskTest, SilentEquipmentIsToldOfAndHoldsNobodyUp) {
  one_.silent = true;
  other_.listeners.add_listeners()->set_name("front");
  Open({one_.Remote("one"), other_.Remote("other")});
  ASSERT_TRUE(desk_->Arm("one", v1::ArmRequest()).ok());
  ASSERT_TRUE(desk_->Arm("other", v1::ArmRequest()).ok());
  const json report = desk_->Report();
  EXPECT_THAT(report["equipment"][0]["error"].get<std::string>(), HasSubstr("nobody answers"));
  EXPECT_EQ(report["equipment"][1]["error"], "");
  EXPECT_EQ(report["equipment"][1]["listeners"][0]["name"], "front");
  EXPECT_THAT(report["attacks"], SizeIs(2));
}

TEST_F(AttackDeskTest, WhoDisarmsDoesNotWaitForAReport) {
  one_.silent = true;
  Open({one_.Remote("one")});
  std::atomic<bool> reported = false;
  std::thread reporter([&] {
    desk_->Report();
    reported = true;
  });
  ASSERT_TRUE(one_.asked.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_TRUE(desk_->DisarmAll().ok());
  EXPECT_EQ(one_.disarmed, 1);
  EXPECT_FALSE(reported) << "it waited for the report";
  one_.go_on.Notify();
  reporter.join();
}

TEST_F(AttackDeskTest, SilentEquipmentKeepsNoOtherArmed) {
  one_.silent_to_disarm = true;  // and is asked first
  absl::Notification disarmed;
  other_.on_disarm = [&] { disarmed.Notify(); };
  Open({one_.Remote("one"), other_.Remote("other")});
  absl::Status status;
  absl::Notification returned;
  std::thread owner([&] {
    status = desk_->DisarmAll();
    returned.Notify();
  });
  EXPECT_TRUE(disarmed.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_FALSE(returned.HasBeenNotified()) << "nobody was silent";
  // The silent one is waited for, within bounds, and not taken for disarmed.
  EXPECT_TRUE(returned.WaitForNotificationWithTimeout(absl::Seconds(15)));
  owner.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(AttackDeskTest, WhatWasNoticedBeforeTheAttackIsNotItsDoing) {
  Open({one_.Remote("one")});
  notes_.OnDuplicate(place_, 7);
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(desk_->Arm("one", v1::ArmRequest()).ok());
  *one_.injections.add_injections() = At(7);
  EXPECT_THAT(desk_->Report()["attacks"][0]["injections"][0]["notices"], SizeIs(0));
  clock_.Advance(absl::Seconds(1));
  notes_.OnDuplicate(place_, 7);
  EXPECT_THAT(desk_->Report()["attacks"][0]["injections"][0]["notices"], SizeIs(1));
}

TEST_F(AttackDeskTest, EquipmentThatWasStartedAnewIsNotAskedForAttacksOfBefore) {
  Open({one_.Remote("one"), other_.Remote("other")});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(desk_->Arm("one", v1::ArmRequest()).ok());
  ASSERT_TRUE(desk_->Arm("other", v1::ArmRequest()).ok());
  one_.next_attack = 2;
  ASSERT_TRUE(desk_->Arm("one", v1::ArmRequest()).ok());
  std::vector<std::string> known;
  const json report = desk_->Report();
  for (const json& attack : report["attacks"])
    known.push_back(
        absl::StrCat(attack["equipment"].get<std::string>(), " ", attack["attack"].get<uint64_t>()));
  EXPECT_THAT(known, ::testing::ElementsAre("one 2", "other 1", "one 1"));
}

TEST_F(AttackDeskTest, WhatEquipmentSaysIsCutToWhatAPageCanShow) {
  for (int i = 0; i < 1000; ++i) {
    *one_.injections.add_injections() = At(static_cast<uint64_t>(i));
    v1::Listener& listener = *one_.listeners.add_listeners();
    listener.set_name(std::string(2000, 'n'));
    listener.add_next_hops(std::string(2000, 'h'));
  }
  Open({one_.Remote("one")});
  ASSERT_TRUE(desk_->Arm("one", v1::ArmRequest()).ok());
  const json report = desk_->Report();
  EXPECT_EQ(report["equipment"][0]["error"], "");
  EXPECT_THAT(report["equipment"][0]["listeners"], SizeIs(64));
  EXPECT_EQ(report["equipment"][0]["listeners"][0]["name"].get<std::string>().size(), 512u);
  EXPECT_EQ(report["attacks"][0]["injected"], 1000);
  EXPECT_THAT(report["attacks"][0]["injections"], SizeIs(50));
}

}  // namespace
}  // namespace keystead::console
