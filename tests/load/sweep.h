// The same number of connections spread over ever more tenants: what a tenant costs by itself, and whether
// the throughput stays.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"
#include "tests/load/cores.h"
#include "tests/load/run.h"

namespace keystead::load {

// A server of its own for each number of tenants of options.sweep. Closed loop: a fixed number of records
// under way on each connection, so the server, not the clock, sets the rate. CANCELLED when the program shall
// end.
absl::StatusOr<nlohmann::json> RunSweep(const RunOptions& options, const Cores& cores, Progress& progress,
                                        TerminationSignal& termination);

}  // namespace keystead::load
