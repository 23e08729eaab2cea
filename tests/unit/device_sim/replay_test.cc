#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/unit/device_sim/signal_samples.h"

namespace keystead::device_sim {
namespace {

using ::testing::ElementsAre;

SignalOptions Rows(std::vector<double> values, double rate, bool loop) {
  SignalOptions options;
  options.column = std::make_shared<const CsvColumn>(CsvColumn{"wind", std::move(values)});
  options.replay_unit = "m/s";
  options.rows_per_second = rate;
  options.loop = loop;
  return options;
}

TEST(ReplayTest, GivesRowsWhenDueAndSkipsNone) {
  const auto replay = Make("replay", 0, Rows({1, 2, 3, 4, 5}, 2, false));
  EXPECT_THAT(Values(replay->Take(kStart)), ElementsAre(1));
  EXPECT_THAT(Values(replay->Take(kStart + absl::Milliseconds(499))), ElementsAre());
  const auto late = replay->Take(kStart + absl::Milliseconds(1500));
  EXPECT_THAT(Values(late), ElementsAre(2, 3, 4));
  EXPECT_EQ(late[0].taken, kStart + absl::Milliseconds(500));
  EXPECT_EQ(late[0].name, "wind");
  EXPECT_EQ(late[0].unit, "m/s");
  EXPECT_THAT(Values(replay->Take(kStart)), ElementsAre()) << "the clock went back";
  EXPECT_FALSE(replay->Exhausted());
  EXPECT_THAT(Values(replay->Take(kStart + absl::Hours(1))), ElementsAre(5));
  EXPECT_TRUE(replay->Exhausted());
  EXPECT_THAT(Values(replay->Take(kStart + absl::Hours(2))), ElementsAre());
}

TEST(ReplayTest, LoopsWhenAsked) {
  const auto replay = Make("replay", 0, Rows({1, 2}, 1, true));
  EXPECT_THAT(Values(replay->Take(kStart)), ElementsAre(1));
  EXPECT_THAT(Values(replay->Take(kStart + absl::Seconds(4))), ElementsAre(2, 1, 2, 1));
  EXPECT_FALSE(replay->Exhausted());
}

TEST(ReplayTest, EmptyCellIsBad) {
  const auto replay = Make("replay", 0, Rows({std::nan("")}, 1, false));
  const auto samples = replay->Take(kStart);
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_EQ(samples[0].quality, Quality::kBad);
  EXPECT_FALSE(samples[0].reason.empty());
}

TEST(ReplayTest, ManyDueRowsComeInPortions) {
  const auto replay = Make("replay", 0, Rows({1}, kMaxReplayRate, true));
  replay->Take(kStart);
  EXPECT_EQ(replay->Take(kStart + absl::Seconds(1)).size(), kMaxReplayRowsPerTake);
  EXPECT_EQ(replay->Take(kStart + absl::Seconds(1)).size(), kMaxReplayRowsPerTake);
}

TEST(ReplayTest, RefusesBadOptions) {
  for (const double rate : {0.0, -1.0, std::nan(""), 2e6, HUGE_VAL}) {
    EXPECT_EQ(MakeSignal("replay", 0, Rows({1}, rate, true)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(MakeSignal("replay", 0, Rows({}, 1, true)).ok());
  EXPECT_FALSE(MakeSignal("replay", 0, {}).ok());
  SignalOptions missing;
  missing.replay_file = "/does/not/exist.csv";
  missing.replay_column = "a";
  EXPECT_EQ(MakeSignal("replay", 0, missing).status().code(), absl::StatusCode::kNotFound);
}

TEST(ReplayTest, ReadsTheFileItself) {
  const std::string path = ::testing::TempDir() + "/keystead-replay.csv";
  std::ofstream(path) << "date,t\n2026-01-01,3.5\n2026-01-02,\n";
  SignalOptions options;
  options.replay_file = path;
  options.replay_column = "t";
  options.replay_unit = "Cel";
  const auto samples = Make("replay", 0, options)->Take(kStart);
  std::filesystem::remove(path);
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_EQ(samples[0].value, 3.5);
  EXPECT_EQ(samples[0].name, "t");
}

}  // namespace
}  // namespace keystead::device_sim
