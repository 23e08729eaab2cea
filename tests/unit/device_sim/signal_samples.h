// What the tests of signals share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device-sim/signals/signal.h"

namespace keystead::device_sim {

inline const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

inline std::unique_ptr<Signal> Make(std::string_view kind, uint64_t seed = 1,
                                    const SignalOptions& options = {}) {
  auto made = MakeSignal(kind, seed, options);
  EXPECT_TRUE(made.ok()) << made.status();
  return std::move(made).value();
}

inline std::map<std::string, Sample> ByName(const std::vector<Sample>& samples) {
  std::map<std::string, Sample> out;
  for (const Sample& sample : samples) out.emplace(sample.name, sample);
  return out;
}

inline std::vector<double> Values(const std::vector<Sample>& samples) {
  std::vector<double> out;
  out.reserve(samples.size());
  for (const Sample& sample : samples) out.push_back(sample.value);
  return out;
}

}  // namespace keystead::device_sim
