// What a store counts, as metrics.
#pragma once

#include "core/observe/latency_histogram.h"
#include "core/observe/metrics.h"
#include "core/storage/log_store.h"

namespace keystead::storage {

// Thread-safe.
struct StoreTimes {
  LatencyHistogram queued;     // of a task, until a commit takes it
  LatencyHistogram committed;  // of a commit, from its first task to its end
  LatencyHistogram synced;     // of one write and fsync of the write-ahead log
};

// `oldest`: for how long the first of the queue has waited.
void WriteStoreMetrics(const Stats& stats, const StoreTimes& times, absl::Duration oldest, bool healthy,
                       MetricWriter& out);

}  // namespace keystead::storage
