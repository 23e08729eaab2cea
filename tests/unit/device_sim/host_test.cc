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

TEST_F(HostTest, ReadsProcAndTheProcessorsThermometer) {
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

}  // namespace
}  // namespace keystead::device_sim
