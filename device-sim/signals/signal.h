// What a simulated device measures and does. Each kind makes samples that carry name, unit, time and quality;
// the device program turns them into readings and seals them. See README.md for kinds, samples and units.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "device-sim/signals/csv.h"

namespace keystead::device_sim {

enum class Quality { kGood, kUncertain, kBad };
std::string_view QualityName(Quality quality);  // "good", "uncertain", "bad"

struct Sample {
  std::string name;
  std::string unit;  // UCUM code, for example "Cel"
  double value = 0;  // NaN when quality is bad: overlooking the quality cannot turn it into a measurement
  Quality quality = Quality::kGood;
  std::string reason;  // why the quality is not good; empty when it is
  absl::Time taken;
};

// One device's sensor or actuator. Not thread-safe: one device, one caller.
class Signal {
 public:
  virtual ~Signal() = default;

  // What there is to report at `now`. May be empty (replay: no row is due yet). Never fails: a source that
  // cannot be read yields samples of bad quality. A replay whose clock goes back waits until it has caught
  // up.
  virtual std::vector<Sample> Take(absl::Time now) = 0;

  // Performs a command and returns the state afterwards. UNIMPLEMENTED: this kind has nothing to actuate;
  // INVALID_ARGUMENT: not one of its operations, and the state is as before.
  virtual absl::StatusOr<std::vector<Sample>> Apply(std::string_view operation, absl::Time now);

  // True when no later Take can return anything (a replay that stops at its end).
  virtual bool Exhausted() const { return false; }
};

// Limits and defaults of a replay.
inline constexpr double kMaxReplayRate = 1e6;          // rows per second
inline constexpr size_t kMaxReplayRowsPerTake = 4096;  // rows due beyond it stay due

struct SignalOptions {
  // kind "replay": either `column`, shared by any number of devices, or a file and the name of its column.
  std::shared_ptr<const CsvColumn> column;
  std::string replay_file;
  std::string replay_column;
  std::string replay_unit = "1";  // UCUM; a CSV file does not say
  double rows_per_second = 1;     // > 0, at most kMaxReplayRate
  bool loop = true;               // begin again after the last row; false: stop there

  // kind "host": where the machine shows itself. Tests put folders of their own here.
  std::string proc_root = "/proc";
  std::string sys_root = "/sys";
  std::string disk_path = "/";
};

// `kind` is "lightbulb", "temperature", "blood-pressure", "soil-moisture", "host" or "replay". The three
// simulated sensors are pure functions of (seed, time): two runs agree. INVALID_ARGUMENT: unknown kind (the
// message lists them), bad option, or malformed CSV ("file:line: reason"); NOT_FOUND and the like: the replay
// file.
absl::StatusOr<std::unique_ptr<Signal>> MakeSignal(std::string_view kind, uint64_t seed,
                                                   const SignalOptions& options = {});

std::vector<std::string_view> SignalKinds();

}  // namespace keystead::device_sim
