#include "core/storage/store_metrics.h"

namespace keystead::storage {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;
constexpr MetricType kHistogram = MetricType::kHistogram;

constexpr Metric kQueueTasks = {"keystead_store_queue_tasks", "Tasks that wait for the writer.", kGauge};
constexpr Metric kQueueBytes = {"keystead_store_queue_bytes", "Bytes of them.", kGauge};
constexpr Metric kQueueAge = {"keystead_store_queue_age_seconds",
                              "How long the first of them has waited; 0: none waits.", kGauge};
constexpr Metric kQueueTime = {"keystead_store_queue_wait_seconds",
                               "How long tasks waited until a commit took them.", kHistogram};
constexpr Metric kCommitTime = {"keystead_store_commit_seconds",
                                "How long commits took, with what their tasks check and the fsync.",
                                kHistogram};
constexpr Metric kSyncTime = {"keystead_store_fsync_seconds",
                              "How long one write and fsync of the write-ahead log took.", kHistogram};
constexpr Metric kCommits = {"keystead_store_commits_total", "Commits that succeeded.", kCounter};
constexpr Metric kFailed = {"keystead_store_failed_commits_total",
                            "Commits that failed: the disk was full or failed.", kCounter};
constexpr Metric kTasks = {"keystead_store_tasks_total", "Tasks committed.", kCounter};
constexpr Metric kEntries = {"keystead_store_entries_total", "Entries appended to logs.", kCounter};
constexpr Metric kBytes = {"keystead_store_appended_bytes_total", "Bytes of them.", kCounter};
constexpr Metric kRefused = {"keystead_store_refused_tasks_total",
                             "Tasks that were not taken because the queue was full.", kCounter};
constexpr Metric kHits = {"keystead_store_tail_hits_total", "Reads served from memory.", kCounter};
constexpr Metric kMisses = {"keystead_store_tail_misses_total", "Reads that went to the disk.", kCounter};
constexpr Metric kTail = {"keystead_store_tail_cache_bytes", "Newest entries in memory.", kGauge};
constexpr Metric kDisk = {"keystead_store_disk_bytes", "Table and blob files, without the write-ahead log.",
                          kGauge};
constexpr Metric kFailing = {"keystead_store_failing_stores",
                             "Stores whose last commit failed; 0 when all is well.", kGauge};

}  // namespace

void WriteStoreMetrics(const Stats& stats, const StoreTimes& times, absl::Duration oldest, bool healthy,
                       MetricWriter& out) {
  out.Value(kQueueTasks, stats.queue_tasks);
  out.Value(kQueueBytes, stats.queue_bytes);
  out.Value(kQueueAge, absl::ToDoubleSeconds(oldest));
  out.Times(kQueueTime, times.queued.Read());
  out.Times(kCommitTime, times.committed.Read());
  out.Times(kSyncTime, times.synced.Read());
  out.Value(kCommits, stats.commits);
  out.Value(kFailed, stats.failed_commits);
  out.Value(kTasks, stats.tasks);
  out.Value(kEntries, stats.entries);
  out.Value(kBytes, stats.bytes);
  out.Value(kRefused, stats.refused);
  out.Value(kHits, stats.tail_hits);
  out.Value(kMisses, stats.tail_misses);
  out.Value(kTail, stats.tail_cache_bytes);
  out.Value(kDisk, stats.disk_bytes);
  out.Value(kFailing, healthy ? 0 : 1);
}

}  // namespace keystead::storage
