// What still has to go to the next hop: which entries of which topic logs, in what order, and what of it is
// on its way. No copy of any byte and no row per entry: each log has a cursor below which the next hop has
// everything, and what lies above it is the queue. gateway/README.md, "The queue".
//
// Entries of one log go in its order; logs take turns. An entry is settled when the next hop has it (or it is
// given up, or came from there) and it is committed here; the cursor moves over settled entries only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/storage/log_store.h"

namespace keystead::gateway {

// Not thread-safe.
class Outbox {
 public:
  struct Options {
    size_t memory_bytes = 16 << 20;  // of entries not handed out yet; beyond it they are read from the store
    size_t window_bytes = 6 << 20;   // handed out and not answered
    size_t turn_bytes = 128 << 10;   // of one log before the next has its turn
    int max_tries = 6;               // of an entry that the next hop refuses, then it is parked
    absl::Duration retry_after = absl::Seconds(1);  // doubles with each try
  };
  struct Stats {
    uint64_t entries = 0;  // in the queue
    uint64_t bytes = 0;
    absl::Duration age;  // of the oldest, to about a second
    size_t in_flight_bytes = 0;
    uint64_t forwarded = 0;  // entries, since start
    uint64_t retried = 0;
    uint64_t parked = 0;
  };

  // What no later moment can mend: the bytes themselves are wrong, or too many others claim their place.
  static bool IsFinal(absl::StatusCode code);

  explicit Outbox(const Options& options) : options_(options) {}

  // A log as it was found at start-up: the queue is [cursor, end) without `skips`.
  struct Restored {
    storage::LogRef log;
    uint64_t cursor = 0;
    uint64_t end = 0;
    std::vector<uint64_t> skips;
    uint64_t entries = 0;
    uint64_t bytes = 0;
  };
  void Restore(const Restored& log, absl::Time now);

  // The writer's thread, while the batch is open. -----------------------------------------------------------
  void Appended(storage::LogRef log, uint64_t offset, storage::Payload bytes, absl::Time now);
  void Brought(storage::LogRef log, uint64_t offset);  // from the next hop: it stays here
  // After the commit. One that failed takes back this entry and all behind it in its log.
  void Committed(storage::LogRef log, uint64_t offset, bool ok);

  // The feeder. ---------------------------------------------------------------------------------------------
  // Entries [from, to) of a log that have to be read from the store.
  struct Demand {
    storage::LogRef log;
    uint64_t from = 0;
    uint64_t to = 0;
    bool retry = false;
  };
  // Appends to `out` what goes next, in this order; each becomes the next ticket. About turn_bytes. Nothing,
  // and a demand: Supply it and call again. Nothing and no demand: nothing may go now.
  std::optional<Demand> Next(std::vector<storage::Payload>& out, absl::Time now);
  void Supply(const Demand& demand, const std::vector<storage::Entry>& entries,
              std::vector<storage::Payload>& out, absl::Time now);

  // The next hop's answers. ---------------------------------------------------------------------------------
  void Refused(uint64_t ticket, const absl::Status& status);  // before the Durable that covers it
  struct Parked {
    storage::LogRef log;
    uint64_t offset = 0;
    absl::Status status;
  };
  std::vector<Parked> Durable(uint64_t up_to_ticket, absl::Time now);  // what was given up now
  // One more try for an entry that was parked: it lies below the cursor and is no part of the queue. Refused
  // again, it stays parked.
  void TryParked(storage::LogRef log, uint64_t offset, absl::Time now);

  // What the store should learn, and Retain when it did not. ------------------------------------------------
  struct Progress {
    storage::LogRef log;
    uint64_t cursor = 0;
    std::vector<uint64_t> passed_skips;
    std::vector<std::pair<uint64_t, absl::StatusCode>> parked;
    std::vector<uint64_t> unparked;  // the next hop has them now, or they are gone
  };
  bool has_progress() const { return !dirty_.empty(); }
  std::vector<Progress> TakeProgress();
  void Retain(std::vector<Progress> progress);

  uint64_t CursorOf(storage::LogRef log) const;  // 2^64 - 1 for a log without a queue
  bool RetryDue(absl::Time now) const { return !retries_.empty() && retries_.begin()->first <= now; }
  uint64_t bytes() const { return stats_.bytes; }
  bool empty() const { return stats_.entries == 0; }
  Stats GetStats(absl::Time now) const;

 private:
  struct Slot {
    uint32_t size = 0;
    bool settled = false;
  };
  // cursor <= next <= fresh_first <= end. [cursor, next) has slots in `flight`, [next, fresh_first) is read
  // from the store when its turn comes and is committed, [fresh_first, end) is in `fresh`.
  struct Log {
    storage::LogRef ref;
    uint64_t cursor = 0;
    uint64_t next = 0;
    uint64_t fresh_first = 0;
    uint64_t end = 0;
    uint64_t committed = 0;
    std::deque<Slot> flight;
    std::deque<storage::Payload> fresh;                 // null: came from the next hop
    absl::btree_set<uint64_t> skips;                    // from the cursor on
    std::map<uint64_t, int> tries;                      // of entries that were refused
    absl::btree_set<uint64_t> again;                    // parked entries under one more try
    std::vector<std::pair<uint64_t, absl::Time>> ages;  // an offset a second and when it came
    Progress progress;
    bool dirty = false;
    bool ready = false;  // in ready_
  };
  struct Sent {
    Log* log = nullptr;  // null: taken back
    uint64_t offset = 0;
    uint32_t size = 0;
  };

  Log& LogAt(storage::LogRef ref, uint64_t first_offset);
  void MakeReady(Log& log);
  void HandOut(Log& log, storage::Payload bytes, std::vector<storage::Payload>& out);
  void Spill();
  void TakeBack(Log& log, uint64_t from);
  void Settle(Log& log, uint64_t offset, size_t size);
  void Advance(Log& log);
  void MarkDirty(Log& log);

  const Options options_;
  absl::flat_hash_map<storage::LogRef, std::unique_ptr<Log>> logs_;
  Log* last_ = nullptr;
  std::deque<Log*> ready_;
  std::deque<Log*> spillable_;  // logs that have had something in `fresh`, oldest first; may repeat
  std::deque<Sent> sent_;
  uint64_t first_ticket_ = 1;  // of sent_.front()
  std::map<uint64_t, absl::Status> refused_;
  std::multimap<absl::Time, std::pair<Log*, uint64_t>> retries_;
  std::vector<Log*> dirty_;
  size_t fresh_bytes_ = 0;
  Stats stats_;
};

}  // namespace keystead::gateway
