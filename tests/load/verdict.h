// What a run shows: each phase in numbers, ratios to the same tenants alone, and the aims.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/load/cpu_meter.h"
#include "tests/load/recorder.h"

namespace keystead::load {

inline constexpr double kMaxGeneratorShare = 0.85;  // above it a run is invalid
inline constexpr double kMaxOthersShare = 0.10;     // above it a run was disturbed, and says so

// Aims, measured and explained; none is a gate.
inline constexpr double kAimTail = 1.5;        // p99 to that alone, at most
inline constexpr double kAimGoodput = 0.95;    // goodput to that alone, at least
inline constexpr double kAimJain = 0.98;       // at least
inline constexpr double kAimRecovery = 2;      // seconds, at most
inline constexpr double kAimThroughput = 0.9;  // at 1,000 tenants to that at 1, at least

using PhaseUse = std::array<CpuUse, kPhases>;

// Phases, ratios, Jain's index, time to recover, aims, windows, and whether the run counts. `victims` are
// their names, in the order of the recorder's numbers. The ratio of goodput and Jain's index are of
// acknowledged to offered records, so that they say what the server did and not what the arrivals happened to
// be.
nlohmann::json EpisodeToJson(const Recorder& recorder, const std::vector<std::string>& victims,
                             const PhaseUse& use);

// {"name", "aim", "measured", "met"}; measured null and met false where there is no value.
nlohmann::json AimToJson(const std::string& name, const std::string& aim, std::optional<double> measured,
                         bool met);

}  // namespace keystead::load
