#include "device-sim/signals/signal.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/bytes.h"
#include "device-sim/signals/kinds.h"

namespace keystead::device_sim {
namespace {

uint64_t Mix(uint64_t x) {  // the output function of SplitMix64
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

}  // namespace

std::string_view QualityName(Quality quality) {
  switch (quality) {
    case Quality::kGood:
      return "good";
    case Quality::kUncertain:
      return "uncertain";
    case Quality::kBad:
      return "bad";
  }
  return "bad";
}

absl::StatusOr<std::vector<Sample>> Signal::Apply(std::string_view, absl::Time) {
  return absl::UnimplementedError("this device has nothing to actuate");
}

Sample GoodSample(std::string_view name, std::string_view unit, double value, absl::Time taken) {
  return {std::string(name), std::string(unit), value, Quality::kGood, "", taken};
}

Sample BadSample(std::string_view name, std::string_view unit, std::string_view reason, absl::Time taken) {
  return {std::string(name), std::string(unit),   std::numeric_limits<double>::quiet_NaN(),
          Quality::kBad,     std::string(reason), taken};
}

double RoundTo(double value, double step) { return std::round(value / step) * step; }

double Noise::Uniform(uint64_t channel, int64_t index) const {
  const uint64_t bits = Mix(Mix(Mix(seed_) ^ channel) ^ static_cast<uint64_t>(index));
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

double Noise::Gaussian(uint64_t channel, int64_t index) const {  // Box and Muller
  const double radius = std::sqrt(-2 * std::log(1 - Uniform(2 * channel, index)));
  return radius * std::cos(2 * std::numbers::pi * Uniform(2 * channel + 1, index));
}

double Noise::Smooth(uint64_t channel, absl::Time at, absl::Duration knot) const {
  absl::Duration rest;
  int64_t index = absl::IDivDuration(at - absl::UnixEpoch(), knot, &rest);
  double part = absl::FDivDuration(rest, knot);
  if (part < 0) {
    --index;
    part += 1;
  }
  const double ease = part * part * (3 - 2 * part);
  const double from = Uniform(channel, index);
  return 2 * (from + (Uniform(channel, index + 1) - from) * ease) - 1;
}

std::vector<std::string_view> SignalKinds() {
  return {"lightbulb", "temperature", "blood-pressure", "soil-moisture", "host", "replay"};
}

absl::StatusOr<std::unique_ptr<Signal>> MakeSignal(std::string_view kind, uint64_t seed,
                                                   const SignalOptions& options) {
  if (kind == "lightbulb") return MakeLightbulb();
  if (kind == "temperature") return MakeTemperature(seed);
  if (kind == "blood-pressure") return MakeBloodPressure(seed);
  if (kind == "soil-moisture") return MakeSoilMoisture(seed);
  if (kind == "host") return MakeHost(options);
  if (kind == "replay") return MakeReplay(options);
  const auto absl_view = [](std::string* out, std::string_view s) { out->append(s); };
  return absl::InvalidArgumentError(absl::StrCat("no device kind '", Absl(kind), "'; there are ",
                                                 absl::StrJoin(SignalKinds(), ", ", absl_view)));
}

}  // namespace keystead::device_sim
