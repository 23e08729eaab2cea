// Warm-up, alone, with the neighbour, recovery: one behaviour, measured against the same tenants alone.
#pragma once

#include "tests/load/cpu_meter.h"
#include "tests/load/neighbour_process.h"
#include "tests/load/population.h"
#include "tests/load/run.h"

namespace keystead::load {

struct EpisodeOptions {
  Behaviour behaviour = Behaviour::kNone;
  size_t index = 0;
  size_t count = 1;
  std::array<double, kPhases> seconds{};
};

// `neighbours` may be null: then nobody misbehaves, whatever the behaviour. CANCELLED when the program shall
// end.
absl::StatusOr<nlohmann::json> RunEpisode(const EpisodeOptions& options, Population& victims,
                                          NeighbourProcess* neighbours, const CpuMeter& meter,
                                          Progress& progress, TerminationSignal& termination);

}  // namespace keystead::load
