#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/device_sim/signal_samples.h"

namespace keystead::device_sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SignalTest, UnknownKindListsThoseThereAre) {
  const absl::Status status = MakeSignal("toaster", 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("lightbulb, temperature, blood-pressure, soil-moisture, host, "));
}

TEST(SignalTest, SensorsAreFunctionsOfSeedAndTime) {
  for (const std::string_view kind : {"temperature", "blood-pressure", "soil-moisture"}) {
    const auto one = Make(kind, 7);
    const auto same = Make(kind, 7);
    const auto other = Make(kind, 8);
    bool differs = false;
    same->Take(kStart + absl::Hours(999));  // what was asked before does not matter
    for (int hour = 0; hour < 48; ++hour) {
      const absl::Time at = kStart + absl::Hours(hour);
      const auto values = Values(one->Take(at));
      EXPECT_EQ(values, Values(same->Take(at))) << kind;
      differs = differs || values != Values(other->Take(at));
      for (const Sample& sample : one->Take(at)) EXPECT_EQ(sample.taken, at);
    }
    EXPECT_TRUE(differs) << kind;
  }
}

TEST(SignalTest, SensorsHaveNothingToActuate) {
  for (const std::string_view kind : {"temperature", "blood-pressure", "soil-moisture", "host"}) {
    EXPECT_EQ(Make(kind)->Apply("on", kStart).status().code(), absl::StatusCode::kUnimplemented) << kind;
  }
}

TEST(TemperatureTest, IsPlausibleAndWarmestInTheAfternoon) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto signal = Make("temperature", seed);
    double afternoon = 0;
    double night = 0;
    for (int hour = 0; hour < 365 * 24; ++hour) {
      const absl::Time at = absl::FromUnixSeconds(1'767'225'600) + absl::Hours(hour);  // 2026-01-01T00:00Z
      const auto samples = signal->Take(at);
      ASSERT_EQ(samples.size(), 1U);
      ASSERT_EQ(samples[0].unit, "Cel");
      ASSERT_GT(samples[0].value, -12);
      ASSERT_LT(samples[0].value, 35);
      if (hour % 24 == 15) afternoon += samples[0].value / 365;
      if (hour % 24 == 3) night += samples[0].value / 365;
    }
    EXPECT_NEAR(afternoon - night, 8, 1);
  }
}

TEST(TemperatureTest, ChangesGradually) {
  const auto signal = Make("temperature", 3);
  double before = signal->Take(kStart)[0].value;
  for (int minute = 1; minute < 7 * 24 * 60; ++minute) {
    const double now = signal->Take(kStart + absl::Minutes(minute))[0].value;
    ASSERT_LT(std::abs(now - before), 0.6) << minute;
    before = now;
  }
}

TEST(TemperatureTest, CarriesOnBeforeTheEpoch) {
  const auto signal = Make("temperature", 3);
  const absl::Time at = absl::UnixEpoch() - absl::Hours(1);
  EXPECT_LT(std::abs(signal->Take(at)[0].value - signal->Take(at + absl::Minutes(1))[0].value), 0.6);
}

TEST(BloodPressureTest, IsPlausibleAndMarksArtefacts) {
  int artefacts = 0;
  constexpr int kCount = 20'000;
  const auto signal = Make("blood-pressure", 5);
  for (int i = 0; i < kCount; ++i) {
    const auto samples = signal->Take(kStart + i * absl::Minutes(5));
    auto by_name = ByName(samples);
    ASSERT_EQ(by_name.size(), 3U);
    EXPECT_EQ(by_name["systolic"].unit, "mm[Hg]");
    EXPECT_EQ(by_name["diastolic"].unit, "mm[Hg]");
    EXPECT_EQ(by_name["pulse"].unit, "/min");
    ASSERT_GE(by_name["systolic"].value - by_name["diastolic"].value, 19);
    ASSERT_GT(by_name["diastolic"].value, 35);
    ASSERT_LT(by_name["systolic"].value, 200);
    ASSERT_GT(by_name["pulse"].value, 35);
    ASSERT_LT(by_name["pulse"].value, 150);
    const bool uncertain = samples[0].quality == Quality::kUncertain;
    for (const Sample& sample : samples) {
      ASSERT_EQ(sample.quality, uncertain ? Quality::kUncertain : Quality::kGood);
      ASSERT_EQ(sample.reason.empty(), !uncertain);
    }
    artefacts += uncertain;
  }
  EXPECT_NEAR(artefacts, 0.04 * kCount, 0.01 * kCount);
}

TEST(SoilMoistureTest, DriesBetweenShowers) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto signal = Make("soil-moisture", seed);
    int rises = 0;
    int falls = 0;
    int longest_fall = 0;
    int fall = 0;
    double before = signal->Take(kStart)[0].value;
    for (int hour = 1; hour < 120 * 24; ++hour) {
      const Sample sample = signal->Take(kStart + absl::Hours(hour))[0];
      ASSERT_EQ(sample.unit, "%");
      ASSERT_GE(sample.value, 9);
      ASSERT_LE(sample.value, 46);
      if (sample.value > before + 0.5) ++rises;
      if (sample.value < before) ++falls;
      fall = sample.value <= before ? fall + 1 : 0;
      longest_fall = std::max(longest_fall, fall);
      before = sample.value;
    }
    EXPECT_GT(rises, 10);
    EXPECT_GT(falls, 20 * rises);
    EXPECT_GT(longest_fall, 48) << "it never stayed dry for two days";
  }
}

TEST(LightbulbTest, ObeysItsOperations) {
  const auto bulb = Make("lightbulb");
  const auto state = [](const std::vector<Sample>& s) { return Values(s); };
  EXPECT_THAT(state(bulb->Take(kStart)), ElementsAre(0, 0, 0.4));
  EXPECT_THAT(state(*bulb->Apply("on", kStart)), ElementsAre(1, 100, 9.0));
  EXPECT_THAT(state(*bulb->Apply("brightness 50", kStart)), ElementsAre(1, 50, 4.7));
  EXPECT_THAT(state(*bulb->Apply("off", kStart)), ElementsAre(0, 0, 0.4));
  EXPECT_THAT(state(*bulb->Apply("on", kStart)), ElementsAre(1, 50, 4.7));
  EXPECT_THAT(state(*bulb->Apply("brightness 0", kStart)), ElementsAre(0, 0, 0.4));
  EXPECT_THAT(state(*bulb->Apply("brightness 100", kStart)), ElementsAre(1, 100, 9.0));
  EXPECT_THAT(state(bulb->Take(kStart)), ElementsAre(1, 100, 9.0));
  const auto samples = ByName(bulb->Take(kStart));
  EXPECT_EQ(samples.at("on").unit, "1");
  EXPECT_EQ(samples.at("brightness").unit, "%");
  EXPECT_EQ(samples.at("power").unit, "W");
}

TEST(LightbulbTest, RefusesOtherOperationsAndStaysAsItWas) {
  const auto bulb = Make("lightbulb");
  ASSERT_TRUE(bulb->Apply("brightness 30", kStart).ok());
  for (const std::string_view bad :
       {"", "ON", "on ", "toggle", "brightness", "brightness ", "brightness 101", "brightness -1",
        "brightness 5%", "brightness  5", "brightness 99999999999999999999", "off\n"}) {
    EXPECT_EQ(bulb->Apply(bad, kStart).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(bulb->Take(kStart)[1].value, 30);
}

}  // namespace
}  // namespace keystead::device_sim
