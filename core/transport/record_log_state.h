// Inside of RecordLog: what it remembers of logs and streams, and how it finds what is stored at a place.
// Everything here runs on the store's writer thread, except where said.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/transport/digest_cache.h"
#include "core/transport/record_log.h"
#include "core/transport/record_log_rows.h"

namespace keystead {

struct LogState {
  storage::LogRef ref;
  uint64_t first_kept = 0;
  uint64_t end = 0;
  LogHead head;               // as of the last checkpoint, trimmed_bytes as of now
  uint64_t total_bytes = 0;   // of all groups ever appended
  uint32_t groups_since = 0;  // the last checkpoint
  absl::flat_hash_map<StreamKey, StreamState> streams;
  size_t stream_bytes = 0;
  // Appended and perhaps not committed yet, so not to be had from the store.
  std::vector<std::pair<uint64_t, Payload>> pending;
  std::string sweep_after;           // where the sweep for dead streams goes on
  std::optional<Checkpoint> oldest;  // checkpoint that is kept, if it was looked for
  uint64_t oldest_behind = 0;        // every checkpoint up to this offset has been removed

  uint64_t in_use = 0;    // tasks that touched it and are not finished
  bool poisoned = false;  // a task failed: nobody may use it until all are finished, then it is forgotten
  uint64_t given_again = UINT64_MAX;  // offsets from here on, when it is
  uint64_t touched_by = 0;            // the id of the RecordLogChanges that has it at touch_slot
  size_t touch_slot = 0;
  std::list<LogState>::iterator self;
};

struct RecordLogChanges::Rep {
  struct Touch {
    LogState* log = nullptr;
    uint64_t start = 0;  // end of the log before this task
    uint64_t end = 0;    // and after it
  };
  uint64_t id = 0;     // 0: not used yet
  uint64_t reads = 0;  // for look-ups
  uint64_t read_bytes = 0;
  std::vector<Touch> touched;
  std::vector<TopicPlace> created;
  std::vector<storage::LogRef> detached;
};

class RecordLogState {
 public:
  RecordLogState(storage::LogStore* store, const RecordLog::Options& options)
      : store_(store), options_(options) {}

  absl::StatusOr<TopicLog> OpenTopic(storage::Transaction& transaction, const TopicPlace& key,
                                     RecordLogChanges& changes);
  absl::StatusOr<AppendOutcome> Append(storage::Transaction& transaction, uint32_t tenant,
                                       const GroupView& view, const Payload& bytes,
                                       const RecordSource& source, RecordLogChanges& changes);
  absl::StatusOr<uint64_t> Trim(storage::Transaction& transaction, storage::LogRef log,
                                const Retention& retention, RecordLogChanges& changes);
  absl::Status TrimTo(storage::Transaction& transaction, storage::LogRef log, uint64_t first_kept,
                      RecordLogChanges& changes);
  absl::StatusOr<uint64_t> BytesOf(storage::Transaction& transaction, storage::LogRef log,
                                   RecordLogChanges& changes);
  absl::StatusOr<RecordLog::Detached> DetachTopics(storage::Transaction& transaction, uint32_t tenant,
                                                   const InstantiationId& instantiation,
                                                   RecordLogChanges& changes);
  void Finish(RecordLogChanges& changes, const absl::Status& status);
  void Forget(uint32_t tenant);

  storage::LogStore& store() const { return *store_; }
  RecordLog::Stats GetStats() const;  // any thread

  class LookUp;  // in record_log_find.cc

 private:
  static RecordLogChanges::Rep& Rep(RecordLogChanges& changes) { return *changes.rep_; }

  absl::StatusOr<TopicLog> TopicOf(storage::Transaction& transaction, uint32_t tenant, const GroupView& view,
                                   RecordLogChanges& changes);

  // Loading and forgetting.
  absl::StatusOr<LogState*> Use(storage::Transaction& transaction, storage::LogRef ref,
                                RecordLogChanges& changes);
  absl::Status Load(storage::Transaction& transaction, LogState& log);
  absl::Status Replay(storage::Transaction& transaction, LogState& log);
  absl::StatusOr<StreamState*> Stream(storage::Transaction& transaction, LogState& log, const StreamKey& key);
  void Erase(LogState* log);
  void LetGo(storage::LogRef ref);
  void EvictOld();
  // What a stream of the log takes in memory has changed.
  void Recharge(LogState& log, size_t before, size_t after);

  // Appending.
  struct Appending {  // of one group
    storage::Transaction& transaction;
    LogState& log;
    StreamState& stream;
    const StreamKey& key;
    const RecordSource& source;
    RecordLogChanges::Rep& task;
  };
  absl::Status Store(const Appending& to, std::span<const RecordView> records, const Payload& bytes,
                     AppendOutcome& outcome);
  absl::Status AppendWithLookUp(const Appending& to, const GroupView& view, const Payload& bytes,
                                AppendOutcome& outcome);
  static void Note(StreamState& stream, uint64_t offset, std::span<const RecordView> records);
  absl::Status WriteCheckpoint(storage::Transaction& transaction, LogState& log);

  // Looking up. RESOURCE_EXHAUSTED when the task has read enough.
  absl::Status BeginRead(RecordLogChanges::Rep& task);
  void CountBytes(RecordLogChanges::Rep& task, size_t bytes);
  absl::StatusOr<const RecordDigests*> DigestsAt(const Appending& to, uint64_t offset);

  // Trimming.
  absl::StatusOr<uint64_t> BytesAsFarAsKnown(storage::Transaction& transaction, storage::LogRef log,
                                             RecordLogChanges& changes);
  absl::Status TrimBehind(storage::Transaction& transaction, LogState& log, uint64_t first_kept,
                          const Retention& retention);
  absl::StatusOr<std::optional<Checkpoint>> Oldest(storage::Transaction& transaction, LogState& log);
  absl::Status SweepStreams(storage::Transaction& transaction, LogState& log);

  // A group's topic log by its parsed header, which its connection shares: saves hashing names.
  struct HeaderSlot {
    std::shared_ptr<const GroupHeader> header;
    uint32_t tenant = 0;
    TopicLog log;
  };

  storage::LogStore* const store_;
  const RecordLog::Options options_;
  std::list<LogState> lru_;  // most recently used first
  absl::flat_hash_map<storage::LogRef, LogState*> logs_;
  absl::flat_hash_map<TopicPlace, TopicLog> topics_;
  std::array<HeaderSlot, 1024> header_slots_;
  DigestCache digests_;
  size_t stream_bytes_ = 0;  // of all logs
  uint64_t next_changes_id_ = 0;

  struct Counters {
    std::atomic<uint64_t> groups{0}, records{0}, duplicates{0}, variants{0}, refused{0}, look_ups{0},
        reads{0}, read_bytes{0}, loads{0}, logs{0}, stream_bytes{0};
  };
  mutable Counters counters_;
};

}  // namespace keystead
