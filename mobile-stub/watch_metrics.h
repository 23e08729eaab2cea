// What the owner's app reads and what it thinks of it, as metrics.
#pragma once

#include <cstdint>
#include <vector>

#include "core/observe/metrics.h"
#include "core/sealing/reader.h"

namespace keystead::mobile {

// Counted since the start of a session.
struct WatchCounts {
  uint64_t readings = 0;
  uint64_t confirmed = 0;  // records
  uint64_t missing = 0;
  uint64_t duplicates = 0;
};

void WriteWatchMetrics(const Reader::Totals& reader, const WatchCounts& counts,
                       const std::vector<StreamStatus>& streams, absl::Duration uptime, bool connected,
                       MetricWriter& out);

}  // namespace keystead::mobile
