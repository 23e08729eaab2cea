// The kinds behind MakeSignal, each in its own file, and the noise they share. Internal to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/signals/signal.h"

namespace keystead::device_sim {

std::unique_ptr<Signal> MakeLightbulb();
std::unique_ptr<Signal> MakeTemperature(uint64_t seed);
std::unique_ptr<Signal> MakeBloodPressure(uint64_t seed);
std::unique_ptr<Signal> MakeSoilMoisture(uint64_t seed);
std::unique_ptr<Signal> MakeHost(const SignalOptions& options);
absl::StatusOr<std::unique_ptr<Signal>> MakeReplay(const SignalOptions& options);

Sample GoodSample(std::string_view name, std::string_view unit, double value, absl::Time taken);
Sample BadSample(std::string_view name, std::string_view unit, std::string_view reason, absl::Time taken);
double RoundTo(double value, double step);  // to the resolution a real sensor would have

// Noise as a pure function of (seed, channel, index): no state to save, the same on every run.
class Noise {
 public:
  explicit Noise(uint64_t seed) : seed_(seed) {}
  double Uniform(uint64_t channel, int64_t index) const;                      // [0, 1)
  double Gaussian(uint64_t channel, int64_t index) const;                     // mean 0, standard deviation 1
  double Smooth(uint64_t channel, absl::Time at, absl::Duration knot) const;  // [-1, 1], continuous in time

 private:
  uint64_t seed_;
};

}  // namespace keystead::device_sim
