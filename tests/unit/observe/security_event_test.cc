#include "core/observe/security_event.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace keystead {
namespace {

constexpr auto kFirst = SecurityEventKind::kHandshakeFailed;
constexpr auto kLast = SecurityEventKind::kLimitExceeded;

uint64_t CountOf(const std::string& name) {
  const auto counts = SecurityEventCounts();
  const auto found = counts.find(name);
  return found == counts.end() ? 0 : found->second;
}

class SecurityEventTest : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::internal::CaptureStderr(); }
  void TearDown() override {
    SetSecurityEventObserver(nullptr);
    if (!taken_) ::testing::internal::GetCapturedStderr();
  }
  std::string Logged() {
    taken_ = true;
    return ::testing::internal::GetCapturedStderr();
  }

 private:
  bool taken_ = false;
};

TEST_F(SecurityEventTest, EveryKindHasANameOfItsOwnInSnakeCase) {
  std::set<std::string> names;
  for (int kind = static_cast<int>(kFirst); kind <= static_cast<int>(kLast); ++kind) {
    const std::string name(SecurityEventName(static_cast<SecurityEventKind>(kind)));
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << name;
  }
  EXPECT_GE(names.size(), 20u);
}

// Names stand in alarms and documents: renaming one is a break.
TEST_F(SecurityEventTest, NamesAreStable) {
  EXPECT_EQ(SecurityEventName(SecurityEventKind::kHandshakeFailed), "handshake_failed");
  EXPECT_EQ(SecurityEventName(SecurityEventKind::kPeerRefused), "peer_refused");
  EXPECT_EQ(SecurityEventName(SecurityEventKind::kOpenFailed), "open_failed");
  EXPECT_EQ(SecurityEventName(SecurityEventKind::kReplay), "replay");
  EXPECT_EQ(SecurityEventName(SecurityEventKind::kFork), "fork");
  EXPECT_EQ(SecurityEventName(SecurityEventKind::kLimitExceeded), "limit_exceeded");
}

TEST_F(SecurityEventTest, ReportLogsEveryFieldAsAWarning) {
  Report({.kind = SecurityEventKind::kOpenFailed,
          .tenant = "acme.example",
          .instantiation = "aa",
          .topic = "telemetry/bb",
          .sender = "bb",
          .stream = "cc",
          .epoch = 3,
          .sequence = UINT64_MAX,
          .peer = "spiffe://acme.example/device/1",
          .detail = "does not open"});
  const auto line = nlohmann::json::parse(Logged(), nullptr, false);
  ASSERT_FALSE(line.is_discarded());
  EXPECT_EQ(line["event"], "security");
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["kind"], "open_failed");
  EXPECT_EQ(line["tenant"], "acme.example");
  EXPECT_EQ(line["instantiation"], "aa");
  EXPECT_EQ(line["topic"], "telemetry/bb");
  EXPECT_EQ(line["sender"], "bb");
  EXPECT_EQ(line["stream"], "cc");
  EXPECT_EQ(line["epoch"], 3);
  EXPECT_EQ(line["sequence"].get<uint64_t>(), UINT64_MAX);
  EXPECT_EQ(line["peer"], "spiffe://acme.example/device/1");
  EXPECT_EQ(line["detail"], "does not open");
}

TEST_F(SecurityEventTest, CountsEachKindApart) {
  const uint64_t replay = CountOf("replay");
  const uint64_t fork = CountOf("fork");
  Report({.kind = SecurityEventKind::kReplay});
  Report({.kind = SecurityEventKind::kReplay});
  Report({.kind = SecurityEventKind::kFork});
  EXPECT_EQ(CountOf("replay"), replay + 2);
  EXPECT_EQ(CountOf("fork"), fork + 1);
}

TEST_F(SecurityEventTest, ObserverGetsTheEventUntilRemovedOrReplaced) {
  std::vector<SecurityEvent> first;
  int second = 0;
  SetSecurityEventObserver([&](const SecurityEvent& event) { first.push_back(event); });
  Report({.kind = SecurityEventKind::kStale, .sender = "dd", .sequence = 9});
  SetSecurityEventObserver([&](const SecurityEvent&) { ++second; });
  Report({.kind = SecurityEventKind::kStale});
  SetSecurityEventObserver(nullptr);
  Report({.kind = SecurityEventKind::kStale});
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].kind, SecurityEventKind::kStale);
  EXPECT_EQ(first[0].sender, "dd");
  EXPECT_EQ(first[0].sequence, 9u);
  EXPECT_EQ(second, 1);
}

TEST_F(SecurityEventTest, TapsAreCalledBesideTheObserverAsLongAsTheyAreThere) {
  int observed = 0;
  int tapped = 0;
  int tapped_too = 0;
  SetSecurityEventObserver([&](const SecurityEvent&) { ++observed; });
  {
    const SecurityEventTap one(
        [&](const SecurityEvent& event) { tapped += event.kind == SecurityEventKind::kStale; });
    {
      const SecurityEventTap two([&](const SecurityEvent&) { ++tapped_too; });
      Report({.kind = SecurityEventKind::kStale});
    }
    Report({.kind = SecurityEventKind::kStale});
  }
  Report({.kind = SecurityEventKind::kStale});
  EXPECT_EQ(observed, 3);
  EXPECT_EQ(tapped, 2);
  EXPECT_EQ(tapped_too, 1);
}

TEST_F(SecurityEventTest, ObserverMayAskForCountsAndReport) {
  int depth = 0;
  SetSecurityEventObserver([&](const SecurityEvent& event) {
    EXPECT_GT(CountOf(std::string(SecurityEventName(event.kind))), 0u);  // counted before it is handed on
    if (++depth == 1) Report({.kind = SecurityEventKind::kConflict});
  });
  Report({.kind = SecurityEventKind::kMissing});
  EXPECT_EQ(depth, 2);
}

TEST_F(SecurityEventTest, ThreadsLoseNoCount) {
  const uint64_t before = CountOf("not_permitted");
  std::atomic<int> observed = 0;
  SetSecurityEventObserver([&](const SecurityEvent&) { ++observed; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 250; ++i) Report({.kind = SecurityEventKind::kNotPermitted});
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(CountOf("not_permitted"), before + 1000);
  EXPECT_EQ(observed, 1000);
}

// Whoever provokes events does not choose how many lines are written; nothing else is lost.
TEST_F(SecurityEventTest, AFloodIsCountedAndObservedButNotWritten) {
  const uint64_t before = CountOf("commit_refused");
  uint64_t observed = 0;
  SetSecurityEventObserver([&](const SecurityEvent& event) { observed += event.count; });
  for (int i = 0; i < 5000; ++i)
    Report({.kind = SecurityEventKind::kCommitRefused, .peer = "flood", .count = 2});
  EXPECT_EQ(CountOf("commit_refused"), before + 10'000);
  EXPECT_EQ(observed, 10'000u);
  const std::string text = Logged();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_GE(lines, 1000);
  EXPECT_LE(lines, 2000);
}

TEST_F(SecurityEventTest, HostileTextStaysInItsField) {
  Report({.kind = SecurityEventKind::kMalformed, .peer = "p\",\"kind\":\"none\"}\n{\"event\":\"ok\"}"});
  const std::string text = Logged();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(nlohmann::json::parse(text, nullptr, false)["kind"], "malformed");
}

}  // namespace
}  // namespace keystead
