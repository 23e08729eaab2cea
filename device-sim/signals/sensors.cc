// The three simulated sensors. Each is a pure function of (seed, time); the constants are typical, not
// clinical.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "device-sim/signals/kinds.h"

namespace keystead::device_sim {
namespace {

// One oscillation per `period`, highest (1) at `peak` after its beginning (UTC).
double Wave(absl::Time now, absl::Duration period, absl::Duration peak) {
  return std::cos(2 * std::numbers::pi * absl::FDivDuration(now - absl::UnixEpoch() - peak, period));
}

class Temperature final : public Signal {
 public:
  explicit Temperature(uint64_t seed) : noise_(seed), mean_(8 + 8 * noise_.Uniform(0, 0)) {}

  std::vector<Sample> Take(absl::Time now) override {
    const double season = 7 * Wave(now, absl::Hours(24) * 365.2425, absl::Hours(24) * 200);
    const double day = 4 * Wave(now, absl::Hours(24), absl::Hours(15));
    const double weather =
        3 * noise_.Smooth(1, now, absl::Hours(30)) + 0.5 * noise_.Smooth(2, now, absl::Hours(1));
    const double jitter = 0.05 * noise_.Gaussian(3, absl::ToUnixMillis(now));
    return {GoodSample("temperature", "Cel", RoundTo(mean_ + season + day + weather + jitter, 0.01), now)};
  }

 private:
  Noise noise_;
  double mean_;
};

class BloodPressure final : public Signal {
 public:
  explicit BloodPressure(uint64_t seed) : noise_(seed) {}

  std::vector<Sample> Take(absl::Time now) override {
    const int64_t at = absl::ToUnixMillis(now);
    const double day = Wave(now, absl::Hours(24), absl::Hours(16));  // lowest at four in the morning
    const double effort = noise_.Smooth(1, now, absl::Minutes(20));
    double systolic = 112 + 20 * noise_.Uniform(0, 0) + 7 * day + 6 * effort + 2.5 * noise_.Gaussian(2, at);
    double pulse = 60 + 18 * noise_.Uniform(0, 1) + 5 * day + 8 * effort + 2 * noise_.Gaussian(3, at);
    const double width = 36 + 10 * noise_.Uniform(0, 2) + 2 * effort + 1.5 * noise_.Gaussian(4, at);
    const bool artefact = noise_.Uniform(10, at) < kArtefactRate;
    if (artefact) {  // the arm moved: the cuff reads high and miscounts beats
      systolic += 15 + 20 * noise_.Uniform(11, at);
      pulse += 10 + 20 * noise_.Uniform(12, at);
    }
    const double diastolic = systolic - std::max(width, 20.0);
    std::vector<Sample> out = {GoodSample("systolic", "mm[Hg]", std::round(systolic), now),
                               GoodSample("diastolic", "mm[Hg]", std::round(diastolic), now),
                               GoodSample("pulse", "/min", std::round(pulse), now)};
    for (Sample& sample : out) {
      if (!artefact) break;
      sample.quality = Quality::kUncertain;
      sample.reason = "movement during the measurement";
    }
    return out;
  }

 private:
  static constexpr double kArtefactRate = 0.04;
  Noise noise_;
};

// Each shower raises the water content at once and drains off exponentially; what one sees is their sum, so
// the soil only ever dries between showers.
class SoilMoisture final : public Signal {
 public:
  explicit SoilMoisture(uint64_t seed) : noise_(seed), drain_(absl::Hours(60 + 60 * noise_.Uniform(0, 0))) {}

  std::vector<Sample> Take(absl::Time now) override {
    const int64_t newest = absl::ToUnixSeconds(now) / absl::ToInt64Seconds(kSlot);
    double water = 0;
    for (int64_t slot = newest - kSlots; slot <= newest; ++slot) {
      if (noise_.Uniform(1, slot) >= kShowerRate) continue;
      const absl::Time fell =
          absl::UnixEpoch() + (static_cast<double>(slot) + noise_.Uniform(2, slot)) * kSlot;
      if (fell > now) continue;
      const double soaked = std::min(1.0, absl::FDivDuration(now - fell, kSoaking));
      water +=
          (4 + 14 * noise_.Uniform(3, slot)) * soaked * std::exp(-absl::FDivDuration(now - fell, drain_));
    }
    constexpr double kRange = kSaturated - kWilting;
    const double content = kSaturated - kRange * std::exp(-water / kRange);
    return {GoodSample("soil-moisture", "%", RoundTo(content, 0.01), now)};
  }

 private:
  static constexpr double kWilting = 9;     // % by volume that roots cannot draw
  static constexpr double kSaturated = 46;  // % by volume when every pore is full
  static constexpr double kShowerRate = 0.07;
  static constexpr int64_t kSlots = 120;  // 30 days: what fell earlier has drained
  static constexpr absl::Duration kSlot = absl::Hours(6);
  static constexpr absl::Duration kSoaking = absl::Hours(1);
  Noise noise_;
  absl::Duration drain_;
};

}  // namespace

std::unique_ptr<Signal> MakeTemperature(uint64_t seed) { return std::make_unique<Temperature>(seed); }
std::unique_ptr<Signal> MakeBloodPressure(uint64_t seed) { return std::make_unique<BloodPressure>(seed); }
std::unique_ptr<Signal> MakeSoilMoisture(uint64_t seed) { return std::make_unique<SoilMoisture>(seed); }

}  // namespace keystead::device_sim
