// What a neighbour does beside publishing, on threads of its own.
#pragma once

#include "absl/status/status.h"
#include "tests/load/behaviour.h"

namespace keystead::load {

// Connection, one call, end, as the first device of each tenant; and beside it connections that only say
// hello, which the server answers with a key exchange and a signature. At most as many a second altogether as
// the limits say, until the time given.
absl::Status StormHandshakes(Population& population, const NeighbourLimits& limits, int64_t end_ns,
                             BehaviourOutcome& outcome);

// Commits of instantiations without devices, eight side by side; whatever is refused is submitted again.
absl::Status StormCommits(Population& population, double per_second, int64_t end_ns,
                          BehaviourOutcome& outcome);

}  // namespace keystead::load
