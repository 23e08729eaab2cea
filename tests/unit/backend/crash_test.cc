// The power fails at random points while a backend takes records and commits: what it answered for is there
// afterwards, once, and what it did not answer for can be sent again.
#include <gmock/gmock.h>

#include <array>
#include <cstdlib>
#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "core/base/random.h"
#include "core/storage/fault_injection_fs.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

class BackendCrashTest : public BackendTest {
 protected:
  BackendCrashTest() {
    options_.store.path = TestPki::Shared().NewFolder() + "/crashing";
    options_.store.file_system = fs_;
    options_.store.retry_interval = absl::Milliseconds(20);
    Restart();
  }
  // All of them in long runs (scripts/test --all), a third otherwise.
  static uint64_t Rounds(uint64_t all) { return std::getenv("KEYSTEAD_LONG") != nullptr ? all : all / 3; }
  uint64_t Draw(uint64_t below) {
    std::array<uint8_t, 2> bytes{};
    random_.Fill(bytes);
    return (uint64_t{bytes[0]} << 8 | bytes[1]) % below;
  }
  void LosePower() {
    StopBackend();  // nothing it still wants to write survives
    fs_->DropUnsynced(random_);
    while (!TryStart()) fs_->DropUnsynced(random_);  // the power failed while it opened
    fs_->PowerOffAfter(UINT64_MAX);
  }
  // Whether the backend answered for it. One that it did not answer for may be there all the same.
  bool Submitted(Home& home, const std::string& bundle) {
    const grpc::Status status = Phone().Submit(home, bundle);
    if (status.ok()) home.Take(bundle);
    return status.ok();
  }

  const std::shared_ptr<storage::FaultInjectionFs> fs_ = std::make_shared<storage::FaultInjectionFs>();
  SeededRandom random_{23};
};

TEST_F(BackendCrashTest, WhatWasAnsweredForSurvivesThePower) {
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Furnish(home);
  const Topic telemetry = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
  const StreamId stream = NewStream();
  std::set<std::string> acked;
  std::set<std::string> sent;
  uint64_t crashes = 0;
  bool console = true;
  for (uint64_t round = 0; round < Rounds(40); ++round) {
    SCOPED_TRACE(round);
    fs_->PowerOffAfter(1 + Draw(24));
    for (uint64_t i = 0; i < 4; ++i) {
      const std::string group = Group(home, bulb_.entry.member, telemetry, 1, stream, 4 * round + i);
      sent.insert(group);
      const PublishResult result = Bulb().Publish(group);
      ASSERT_TRUE(result.refusals.empty()) << result.refusals[0].code();
      if (result.durable == 1) acked.insert(group);
    }
    const std::string bundle = console ? home.Make({}, {console_.entry.member}) : home.Make({&console_});
    const bool answered = Submitted(home, bundle);
    crashes += fs_->powered_off() ? 1 : 0;
    LosePower();
    if (!answered) {
      ASSERT_TRUE(Submitted(home, bundle));  // the same, whether it had been taken or not
    }
    console = !console;
    std::vector<std::string> bundles;
    // UNAVAILABLE while a long chain is loaded beside the writer: ask again.
    grpc::Status fetched = Phone().Fetch(home, 0, &bundles);
    const absl::Time patience = absl::Now() + absl::Seconds(30);
    while (fetched.error_code() == grpc::StatusCode::UNAVAILABLE && absl::Now() < patience) {
      std::this_thread::yield();
      bundles.clear();
      fetched = Phone().Fetch(home, 0, &bundles);
    }
    ASSERT_TRUE(fetched.ok()) << fetched.error_code() << " " << fetched.error_message();
    ASSERT_EQ(bundles.size(), round + 3);
    ASSERT_EQ(bundles.back(), bundle);
  }
  EXPECT_GT(crashes, Rounds(40) / 4);
  const auto reader = Phone().Subscribe(home, {telemetry});
  std::set<std::string> there;
  ASSERT_TRUE(reader->CaughtUp());
  for (const std::string& group : reader->TakePending()) EXPECT_TRUE(there.insert(group).second) << "twice";
  for (const std::string& group : acked) EXPECT_TRUE(there.contains(group));
  for (const std::string& group : there) EXPECT_TRUE(sent.contains(group));
  const auto keyring = Phone().Subscribe(home, {Topic::Keyring()});
  ASSERT_TRUE(keyring->CaughtUp());
  EXPECT_EQ(keyring->TakePending().size(), home.chain().epoch() + 1);
}

// A device that moved stays moved, whatever the power did: its counter does not go back.
TEST_F(BackendCrashTest, ResetCountersAndEvictionsSurviveThePower) {
  std::vector<std::unique_ptr<Home>> homes;
  homes.push_back(std::make_unique<Home>(kAcme, Uri(kAcme, Role::kApp, "phone")));
  Furnish(*homes.back());
  Resident device{bulb_.entry, bulb_.ik.Clone(), bulb_.reset_counter};
  uint64_t crashes = 0;
  for (uint64_t round = 0; round < 20; ++round) {
    SCOPED_TRACE(round);
    Home& before = *homes.back();
    homes.push_back(std::make_unique<Home>(kAcme, Uri(kAcme, Role::kApp, "phone")));
    Home& next = *homes.back();
    Commit(next);
    const Resident moved = AfterReset(device);
    const std::string bundle = next.Make({&moved});
    fs_->PowerOffAfter(1 + Draw(8));
    const bool answered = Submitted(next, bundle);
    crashes += fs_->powered_off() ? 1 : 0;
    LosePower();
    if (answered) {
      const Topic there = Topic::Of(TopicKind::kTelemetry, device.entry.member);
      ASSERT_EQ(Bulb().Publish(Group(before, device.entry.member, there, 1, NewStream(), 0)).code(),
                grpc::StatusCode::PERMISSION_DENIED);
      ASSERT_EQ(Phone().Submit(before, before.Make({}, {device.entry.member})).error_code(),
                grpc::StatusCode::OK);
    } else {
      ASSERT_TRUE(Submitted(next, bundle));
    }
    const Topic here = Topic::Of(TopicKind::kTelemetry, moved.entry.member);
    ASSERT_TRUE(Bulb().Publish(Group(next, moved.entry.member, here, 1, NewStream(), 0)).refusals.empty());
    Home late(kAcme, Uri(kAcme, Role::kApp, "phone"));
    Commit(late);
    ASSERT_EQ(Phone().Submit(late, late.Make({&device})).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    device = Resident{moved.entry, moved.ik.Clone(), moved.reset_counter};
  }
  EXPECT_GT(crashes, 4u);
}

}  // namespace
}  // namespace keystead::testing
