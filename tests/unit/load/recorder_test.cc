#include "tests/load/recorder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace keystead::load {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;
constexpr int kExhausted = static_cast<int>(absl::StatusCode::kResourceExhausted);

class RecorderTest : public ::testing::Test {
 protected:
  // One second each, from 0 on.
  Recorder recorder_{Timeline::Of(0, {1, 1, 1, 1}), 2};
  const TenantRecord& tenant(size_t number) const { return recorder_.tenants()[number]; }
};

TEST_F(RecorderTest, LatencyIsOfThePhaseOfTheIntendedStartAndGoodputOfThatOfTheAcknowledgement) {
  recorder_.Offered(0, 2 * kSecond - kMs, 2 * kSecond - kMs);
  recorder_.Sent(0, 1);
  recorder_.Acknowledged(0, 2 * kSecond - kMs, 2 * kSecond + 4 * kMs);
  EXPECT_EQ(recorder_.Of(Phase::kAlone).durable.max(), 5000u);
  EXPECT_EQ(recorder_.Of(Phase::kNeighbour).durable.count(), 0u);
  EXPECT_EQ(tenant(0).acknowledged[static_cast<size_t>(Phase::kAlone)], 0u);
  EXPECT_EQ(tenant(0).acknowledged[static_cast<size_t>(Phase::kNeighbour)], 1u);
  EXPECT_EQ(recorder_.acknowledged_by_window()[8], 1u);
  EXPECT_EQ(recorder_.windows().Quantile(7, 0.5), 5000u);
}

// A record that never came through must not make the distribution better by being away.
TEST_F(RecorderTest, WhatNeverCameThroughTookAtLeastUntilItWasGivenUp) {
  recorder_.Lost(0, kSecond, 4 * kSecond);
  recorder_.Unsent(0, kSecond, 4 * kSecond);
  recorder_.Refused(0, kSecond, 4 * kSecond, kExhausted);
  EXPECT_EQ(recorder_.Of(Phase::kAlone).durable.count(), 3u);
  EXPECT_EQ(recorder_.Of(Phase::kAlone).durable.min(), 3'000'000u);
}

TEST_F(RecorderTest, CountsBelongToTheTenantAndAddUp) {
  for (int i = 0; i < 5; ++i) recorder_.Offered(0, kSecond, kSecond);
  recorder_.Sent(0, 4);
  recorder_.Acknowledged(0, kSecond, kSecond + kMs);
  recorder_.Acknowledged(0, kSecond, kSecond + kMs);
  recorder_.Refused(0, kSecond, kSecond + kMs, kExhausted);
  recorder_.Lost(0, kSecond, 2 * kSecond);
  recorder_.Unsent(0, kSecond, 2 * kSecond);
  recorder_.Offered(1, kSecond, kSecond);
  const RecordCounts& all = tenant(0).all;
  EXPECT_EQ(all.offered, all.sent + all.unsent);
  EXPECT_EQ(all.sent, all.acknowledged + all.refused + all.lost);
  EXPECT_EQ(tenant(0).refused[static_cast<size_t>(Phase::kAlone)].at(kExhausted), 1u);
  EXPECT_EQ(tenant(1).all.offered, 1u);
  EXPECT_EQ(tenant(1).all.acknowledged, 0u);
  EXPECT_EQ(recorder_.Total().offered, 6u);
}

TEST_F(RecorderTest, WhatIsOutsideOfAllPhasesIsCountedAndNotMeasured) {
  recorder_.Offered(0, 5 * kSecond, 5 * kSecond);
  recorder_.Acknowledged(0, 5 * kSecond, 6 * kSecond);
  recorder_.Ended(0, 6 * kSecond, kExhausted);
  EXPECT_EQ(tenant(0).all.acknowledged, 1u);
  for (size_t i = 0; i < kPhases; ++i) {
    EXPECT_EQ(recorder_.Of(static_cast<Phase>(i)).durable.count(), 0u);
    EXPECT_TRUE(tenant(0).ended[i].empty());
  }
}

TEST_F(RecorderTest, HowLateTheGeneratorWasIsKeptApart) {
  recorder_.Offered(0, kSecond, kSecond + 3 * kMs);
  EXPECT_EQ(recorder_.Of(Phase::kAlone).late.max(), 3000u);
  EXPECT_EQ(recorder_.Of(Phase::kAlone).durable.count(), 0u);
  recorder_.Delivered(kSecond, kSecond + 9 * kMs);
  EXPECT_EQ(recorder_.Of(Phase::kAlone).delivered.max(), 9000u);
}

TEST(CodesTest, AreCalledByTheirNames) {
  EXPECT_EQ(CodesToJson({{kExhausted, 2}, {0, 1}}).dump(), R"({"OK":1,"RESOURCE_EXHAUSTED":2})");
}

}  // namespace
}  // namespace keystead::load
