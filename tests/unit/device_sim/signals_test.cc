#include "device-sim/signals/signal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace keystead::device_sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

std::unique_ptr<Signal> Make(std::string_view kind, uint64_t seed = 1, const SignalOptions& options = {}) {
  auto made = MakeSignal(kind, seed, options);
  EXPECT_TRUE(made.ok()) << made.status();
  return std::move(made).value();
}

std::map<std::string, Sample> ByName(const std::vector<Sample>& samples) {
  std::map<std::string, Sample> out;
  for (const Sample& sample : samples) out.emplace(sample.name, sample);
  return out;
}

std::vector<double> Values(const std::vector<Sample>& samples) {
  std::vector<double> out;
  for (const Sample& sample : samples) out.push_back(sample.value);
  return out;
}

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

class HostTest : public ::testing::Test {
 protected:
  HostTest() {
    std::string pattern = ::testing::TempDir() + "/host-XXXXXX";
    root_ = mkdtemp(pattern.data());
    options_.proc_root = root_ + "/proc";
    options_.sys_root = root_ + "/sys";
  }
  ~HostTest() override { std::filesystem::remove_all(root_); }
  void Put(const std::string& path, std::string_view text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::map<std::string, Sample> Take() const { return ByName(Make("host", 0, options_)->Take(kStart)); }
  std::string root_;
  SignalOptions options_;
};

TEST_F(HostTest, MeasuresThisMachine) {
  const auto samples = ByName(Make("host")->Take(kStart));
  for (const std::string name : {"load", "memory-used", "disk-used"}) {
    ASSERT_TRUE(samples.contains(name));
    EXPECT_EQ(samples.at(name).quality, Quality::kGood) << samples.at(name).reason;
    EXPECT_GE(samples.at(name).value, 0);
  }
  EXPECT_GT(samples.at("memory-used").value, 0);
  EXPECT_LE(samples.at("memory-used").value, 100);
  EXPECT_LE(samples.at("disk-used").value, 100);
}

TEST_F(HostTest, ReadsProcAndThePrcessorsThermometer) {
  Put("/proc/loadavg", "0.57 0.20 0.06 3/95 5176\n");
  Put("/proc/meminfo", "MemTotal:       1000 kB\nMemTotalX: 5 kB\nMemFree: 1 kB\nMemAvailable:   250 kB\n");
  Put("/sys/class/thermal/thermal_zone0/temp", "30000\n");
  Put("/sys/class/thermal/thermal_zone0/type", "acpitz\n");
  Put("/sys/class/thermal/thermal_zone1/temp", "47500\n");
  Put("/sys/class/thermal/thermal_zone1/type", "x86_pkg_temp\n");
  auto samples = Take();
  EXPECT_EQ(samples.at("load").value, 0.57);
  EXPECT_EQ(samples.at("memory-used").value, 75);
  EXPECT_EQ(samples.at("temperature").value, 47.5);
  EXPECT_EQ(samples.at("temperature").unit, "Cel");
}

TEST_F(HostTest, FallsBackToHwmonAndToAnyThermometer) {
  Put("/sys/class/thermal/thermal_zone0/temp", "not a number");
  Put("/sys/class/hwmon/hwmon3/name", "nvme\n");
  Put("/sys/class/hwmon/hwmon3/temp1_input", "38850\n");
  EXPECT_EQ(Take().at("temperature").value, 38.85);
}

TEST_F(HostTest, WhatCannotBeReadIsBadOrAbsent) {
  Put("/proc/loadavg", "garbage");
  Put("/proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 20 kB\n");
  options_.disk_path = root_ + "/none";
  const auto samples = Take();
  EXPECT_EQ(samples.size(), 3U) << "no thermometer, no temperature";
  for (const auto& [name, sample] : samples) {
    EXPECT_EQ(sample.quality, Quality::kBad) << name;
    EXPECT_FALSE(sample.reason.empty());
    EXPECT_TRUE(std::isnan(sample.value));
  }
}

TEST_F(HostTest, ThermometerThatGoesAwayIsBad) {
  Put("/sys/class/thermal/thermal_zone0/temp", "30000\n");
  const auto host = Make("host", 0, options_);
  std::filesystem::remove(root_ + "/sys/class/thermal/thermal_zone0/temp");
  EXPECT_EQ(ByName(host->Take(kStart)).at("temperature").quality, Quality::kBad);
}

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
