#include "tests/load/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace keystead::load {
namespace {

constexpr int64_t kStart = 5'000'000'000;

std::vector<int64_t> Take(Arrivals arrivals, size_t count) {
  std::vector<int64_t> out;
  for (; out.size() < count; arrivals.Advance()) out.push_back(arrivals.next());
  return out;
}

TEST(ArrivalsTest, ConstantOnesKeepTheirDistanceAndDoNotDrift) {
  const std::vector<int64_t> times = Take(Arrivals(ArrivalKind::kConstant, 3, kStart, 1), 3001);
  EXPECT_GE(times[0], kStart);
  EXPECT_LE(times[0], kStart + 333'333'334);
  for (size_t i = 1; i < times.size(); ++i)
    EXPECT_NEAR(static_cast<double>(times[i] - times[i - 1]), 1e9 / 3, 1.0);
  EXPECT_NEAR(static_cast<double>(times.back() - times.front()), 1000e9, 2000);
}

TEST(ArrivalsTest, ConstantOnesOfTwoDevicesAreNotInStep) {
  EXPECT_NE(Arrivals(ArrivalKind::kConstant, 10, kStart, 1).next(),
            Arrivals(ArrivalKind::kConstant, 10, kStart, 2).next());
}

// Mean and deviation of exponential intervals are the same, and a share 1 - 1/e of them is below the mean.
TEST(ArrivalsTest, PoissonIntervalsAreExponential) {
  constexpr size_t kCount = 200'000;
  const std::vector<int64_t> times = Take(Arrivals(ArrivalKind::kPoisson, 1000, kStart, 42), kCount);
  double sum = 0;
  double squares = 0;
  size_t below = 0;
  for (size_t i = 1; i < times.size(); ++i) {
    const auto interval = static_cast<double>(times[i] - times[i - 1]);
    EXPECT_GE(interval, 0);
    sum += interval;
    squares += interval * interval;
    if (interval < 1e6) ++below;
  }
  const double mean = sum / (kCount - 1);
  EXPECT_NEAR(mean, 1e6, 1e4);
  EXPECT_NEAR(std::sqrt(squares / (kCount - 1) - mean * mean), 1e6, 2e4);
  EXPECT_NEAR(static_cast<double>(below) / (kCount - 1), 1 - std::exp(-1.0), 0.005);
}

TEST(ArrivalsTest, TheSameSeedGivesTheSameRunAndAnotherOneAnother) {
  const auto run = [](uint64_t seed) { return Take(Arrivals(ArrivalKind::kPoisson, 50, kStart, seed), 100); };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(SmallRandomTest, UniformIsNeverZero) {
  // Its logarithm is taken. The generator's state before the output 0, found by running it backwards, is 0
  // minus the increment: the least that Uniform can say.
  SmallRandom random(0 - uint64_t{0x9e3779b97f4a7c15});
  EXPECT_EQ(random.Uniform(), 0x1p-53);
}

TEST(ArrivalKindTest, NamesAreReadAsTheyAreWritten) {
  for (const ArrivalKind kind : {ArrivalKind::kPoisson, ArrivalKind::kConstant})
    EXPECT_EQ(ArrivalKindFromName(ArrivalKindName(kind)), kind);
  EXPECT_FALSE(ArrivalKindFromName("uniform").has_value());
}

}  // namespace
}  // namespace keystead::load
