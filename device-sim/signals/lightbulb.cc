#include <charconv>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "device-sim/signals/kinds.h"

namespace keystead::device_sim {
namespace {

constexpr double kStandbyWatts = 0.4;
constexpr double kFullWatts = 9.0;

class Lightbulb final : public Signal {
 public:
  std::vector<Sample> Take(absl::Time now) override {
    const double level = on_ ? level_ : 0;
    return {GoodSample("on", "1", on_ ? 1 : 0, now), GoodSample("brightness", "%", level, now),
            GoodSample("power", "W",
                       RoundTo(kStandbyWatts + (kFullWatts - kStandbyWatts) * level / 100, 0.01), now)};
  }

  absl::StatusOr<std::vector<Sample>> Apply(std::string_view operation, absl::Time now) override {
    constexpr std::string_view kBrightness = "brightness ";
    if (operation == "on" || operation == "off") {
      on_ = operation == "on";
    } else if (operation.starts_with(kBrightness)) {
      const std::string_view digits = operation.substr(kBrightness.size());
      unsigned level = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), level);
      if (error != std::errc() || end != digits.data() + digits.size() || level > 100) {
        return absl::InvalidArgumentError("brightness takes a whole number from 0 to 100");
      }
      on_ = level > 0;
      if (on_) level_ = level;  // "brightness 0" switches off and keeps the level for the next "on"
    } else {
      return absl::InvalidArgumentError("a lightbulb knows on, off and brightness N");
    }
    return Take(now);
  }

 private:
  bool on_ = false;
  double level_ = 100;
};

}  // namespace

std::unique_ptr<Signal> MakeLightbulb() { return std::make_unique<Lightbulb>(); }

}  // namespace keystead::device_sim
