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
#include "core/transport/record_log.h"
#include "core/transport/record_log_rows.h"

namespace keystead {

// A stored group, kept for looking things up in it.
struct FoundGroup {
  uint64_t offset = 0;
  Payload bytes;
  StreamKey stream;
  uint64_t first = 0;
  uint64_t last = 0;
  std::vector<RecordView> records;  // into `bytes`
};

// The groups between two checkpoints of a log, or a single one that came late, read for a look-up and kept
// for the next one: what is sent again is sent again in order.
struct SegmentCache {
  storage::LogRef log;
  Segment range;
  std::vector<FoundGroup> groups;
};

// Every stored group that has a sequence, and what keeps them alive.
struct Found {
  std::vector<const FoundGroup*> groups;
  std::vector<std::shared_ptr<const SegmentCache>> segments;
};

struct LogState {
  storage::LogRef ref;
  uint64_t first_kept = 0;
  uint64_t end = 0;
  LogHead head;               // as of the last checkpoint, trimmed_bytes as of now
  uint64_t total_bytes = 0;   // of all groups ever appended
  uint32_t groups_since = 0;  // the last checkpoint
  absl::flat_hash_map<StreamKey, StreamState> streams;
  // Appended and perhaps not committed yet, so not to be had from the store.
  std::vector<std::pair<uint64_t, Payload>> pending;
  std::string sweep_after;           // where the sweep for dead streams goes on
  std::optional<Checkpoint> oldest;  // checkpoint that is kept, if it was looked for
  uint64_t oldest_behind = 0;        // every checkpoint up to this offset has been removed

  uint64_t in_use = 0;      // tasks that touched it and are not finished
  bool poisoned = false;    // a task failed: nobody may use it until all are finished, then it is forgotten
  uint64_t touched_by = 0;  // the id of the RecordLogChanges that has it at touch_slot
  size_t touch_slot = 0;
  std::list<LogState>::iterator self;
};

struct RecordLogChanges::Rep {
  struct Touch {
    LogState* log = nullptr;
    uint64_t end = 0;  // of the log, after this task
  };
  uint64_t id = 0;  // 0: not used yet
  std::vector<Touch> touched;
  std::vector<TopicKey> created;
};

class RecordLogState {
 public:
  RecordLogState(storage::LogStore* store, const RecordLog::Options& options)
      : store_(store), options_(options) {}

  absl::StatusOr<TopicLog> OpenTopic(storage::Transaction& transaction, const TopicKey& key,
                                     RecordLogChanges& changes);
  absl::StatusOr<AppendOutcome> Append(storage::Transaction& transaction, uint32_t tenant,
                                       const GroupView& view, const Payload& bytes,
                                       RecordLogChanges& changes);
  absl::StatusOr<uint64_t> Trim(storage::Transaction& transaction, storage::LogRef log,
                                const Retention& retention, RecordLogChanges& changes);
  absl::Status TrimTo(storage::Transaction& transaction, storage::LogRef log, uint64_t first_kept,
                      RecordLogChanges& changes);
  absl::StatusOr<uint64_t> BytesOf(storage::Transaction& transaction, storage::LogRef log,
                                   RecordLogChanges& changes);
  void Finish(RecordLogChanges& changes, const absl::Status& status);
  void Forget(uint32_t tenant);

  storage::LogStore& store() const { return *store_; }
  RecordLog::Stats GetStats() const;  // any thread

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
  void EvictOld();

  // Appending.
  absl::Status Store(storage::Transaction& transaction, LogState& log, StreamState& stream,
                     const StreamKey& key, std::span<const RecordView> records, const Payload& bytes,
                     AppendOutcome& outcome);
  absl::Status AppendWithLookUp(storage::Transaction& transaction, LogState& log, StreamState& stream,
                                const StreamKey& key, const GroupView& view, const Payload& bytes,
                                AppendOutcome& outcome);
  static void Note(StreamState& stream, uint64_t offset, std::span<const RecordView> records);
  absl::Status WriteCheckpoint(storage::Transaction& transaction, LogState& log);

  // Looking up.
  absl::StatusOr<Found> Find(storage::Transaction& transaction, const LogState& log,
                             const StreamState& stream, const StreamKey& key, uint64_t sequence);
  absl::StatusOr<std::shared_ptr<const SegmentCache>> ReadSegment(const LogState& log, const Segment& range);
  absl::StatusOr<std::vector<FoundGroup>> ReadGroups(const LogState& log, uint64_t first, uint64_t end);

  // Trimming.
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
  absl::flat_hash_map<TopicKey, TopicLog> topics_;
  std::array<HeaderSlot, 1024> header_slots_;
  std::list<std::shared_ptr<SegmentCache>> segments_;  // most recently used first
  uint64_t next_changes_id_ = 0;

  struct Counters {
    std::atomic<uint64_t> groups{0}, records{0}, duplicates{0}, variants{0}, refused{0}, look_ups{0},
        loads{0}, logs{0};
  };
  mutable Counters counters_;
};

}  // namespace keystead
