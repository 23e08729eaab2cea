// Topics as logs of sealed groups: which log a topic has, what is a duplicate, and how much is kept.
//
// Every record has a place: (topic, sender, epoch, stream, sequence). The same bytes at a place again are a
// duplicate, acknowledged and not stored. Other bytes at a place are a variant, and are kept: junk must not
// pre-empt a genuine record. Every publisher has slots of its own at a place, so that one publisher's junk
// costs no other publisher a slot; what is beyond them is refused (docs/decisions/0018). Bytes are the same
// when their SHA-256 is. Of a group that is new in part, the new records are stored (a shorter group under
// the same header); any other group is stored as the bytes it came in.
//
// Cost: a group whose sequences are above all that the stream has had costs one append and no read; every
// checkpoint_groups groups of a log one row for each stream that moved. What lies beyond the last checkpoint
// is rebuilt from the log when it is first used after a restart. docs/architecture.md, "Duplicates". Looking
// up reads each stored group that came in order at one of the places; how much one task may read is bounded.
//
// A record that retention has discarded is no longer known: sent again, it is stored again, and readers
// recognise it by (stream, sequence).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/base/topic.h"
#include "core/storage/log_store.h"
#include "core/transport/group_view.h"

namespace keystead {

// Tables of the store that RecordLog writes. Its user numbers its own from kFirstFreeTable on.
inline constexpr storage::Table kTopicTable{0};
inline constexpr storage::Table kStreamTable{1};
inline constexpr storage::Table kFirstFreeTable{16};

// One topic of one instantiation, by the tenant's number in this store.
struct TopicPlace {
  uint32_t tenant = 0;
  InstantiationId instantiation;
  Topic topic;
  bool operator==(const TopicPlace&) const = default;
  template <class H>
  friend H AbslHashValue(H h, const TopicPlace& key) {
    return H::combine(std::move(h), key.tenant, key.instantiation, key.topic);
  }
};

struct TopicLog {
  storage::LogRef ref;
  LogId id;  // random, made with the log: a restored or replaced store has other ids
};

struct Retention {
  uint64_t max_bytes = UINT64_MAX;                    // of groups in one log
  absl::Duration max_age = absl::InfiniteDuration();  // since the hop stored them
  uint64_t not_beyond = UINT64_MAX;  // entries from this offset on stay, whatever the other bounds say
};

// Records at consecutive places of a group that were not stored. Same meaning as keystead.v1.Refusal.
struct RefusedRecords {
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
};

struct AppendOutcome {
  TopicLog log;
  std::optional<uint64_t> offset;  // of what was stored; none when nothing was new
  Payload stored;                  // as stored; null when nothing was new
  uint32_t new_records = 0;        // variants included
  uint32_t duplicates = 0;
  uint32_t variants = 0;                // stored beside another record of the same place
  std::vector<RefusedRecords> refused;  // too many variants
};

// Who publishes, as far as slots for variants go. The same peer must have the same number after a restart.
struct RecordSource {
  uint64_t publisher = 0;
  size_t slots =
      limits::kMaxVariantsPerSequence;  // different records at one place, the first of all included

  // `peer` is what its certificate calls it.
  static RecordSource Of(std::string_view peer, size_t slots = limits::kMaxVariantsPerSequence);
};

class RecordLogState;

// What one task has changed in memory, so that it can be taken back. Make one per storage::Task, pass it to
// every call inside Prepare, and call RecordLog::Finish from Done.
class RecordLogChanges {
 public:
  RecordLogChanges();
  ~RecordLogChanges();
  RecordLogChanges(RecordLogChanges&&) noexcept;
  RecordLogChanges& operator=(RecordLogChanges&&) noexcept;

 private:
  friend class RecordLogState;
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

class RecordLog {
 public:
  struct Options {
    size_t max_logs_in_memory = 65536;   // about 300 bytes each when in order
    size_t max_streams_per_log = 256;    // in memory
    size_t max_stream_bytes = 64 << 20;  // in memory, of the streams of all logs
    uint32_t checkpoint_groups = 64;     // and at least every MiB
    // For look-ups. An honest publisher that sends a whole request again needs about two reads a group, and
    // of bytes what it sends.
    uint32_t max_reads_per_task = 4096;
    size_t max_read_bytes_per_task = 32 << 20;
    const Clock* clock = &Clock::System();
    RandomSource* random = &RandomSource::System();
  };
  struct Stats {
    uint64_t groups = 0;  // stored
    uint64_t records = 0;
    uint64_t duplicates = 0;  // records
    uint64_t variants = 0;
    uint64_t refused = 0;     // records
    uint64_t look_ups = 0;    // groups that were not simply in order
    uint64_t reads = 0;       // of the store, for them
    uint64_t read_bytes = 0;  // of groups, ditto
    uint64_t loads = 0;       // logs rebuilt from the store
    uint64_t logs_in_memory = 0;
    uint64_t stream_bytes = 0;  // in memory
  };

  // The store must outlive it and is not owned.
  RecordLog(storage::LogStore* store, const Options& options);
  explicit RecordLog(storage::LogStore* store) : RecordLog(store, Options()) {}
  ~RecordLog();

  // THREAD: the store's writer, inside Prepare. ------------------------------------------------------------

  // The topic's log; makes it when there is none. A failed read is the only error: return it from Prepare.
  absl::StatusOr<TopicLog> OpenTopic(storage::Transaction& transaction, const TopicPlace& key,
                                     RecordLogChanges& changes);

  // Stores what is new of a group. `bytes` are those `view` was parsed from. Refusals are in the outcome.
  // RESOURCE_EXHAUSTED: this task has looked up as much as one may. Nothing of the group was stored; what the
  // task did before is sound, and a later task with the same group need not read again what this one has
  // read. Other errors (UNAVAILABLE, DATA_LOSS) mean that the disk failed: return them from Prepare.
  absl::StatusOr<AppendOutcome> Append(storage::Transaction& transaction, uint32_t tenant,
                                       const GroupView& view, const Payload& bytes,
                                       const RecordSource& source, RecordLogChanges& changes);
  absl::StatusOr<AppendOutcome> Append(storage::Transaction& transaction, uint32_t tenant,
                                       const GroupView& view, const Payload& bytes,
                                       RecordLogChanges& changes) {
    return Append(transaction, tenant, view, bytes, RecordSource(), changes);
  }

  // Discards the oldest entries beyond the bounds, in steps of a checkpoint: the log keeps at most max_bytes
  // and what came since the last checkpoint. The first offset kept.
  absl::StatusOr<uint64_t> Trim(storage::Transaction& transaction, storage::LogRef log,
                                const Retention& retention, RecordLogChanges& changes);
  // Discards the entries before an offset, for example what the next hop has acknowledged.
  absl::Status TrimTo(storage::Transaction& transaction, storage::LogRef log, uint64_t first_kept,
                      RecordLogChanges& changes);

  // Bytes of the groups that the log keeps, what the open batch appended included.
  absl::StatusOr<uint64_t> BytesOf(storage::Transaction& transaction, storage::LogRef log,
                                   RecordLogChanges& changes);

  // Takes the topics of an instantiation away: it has none any more, and one of the same name would be
  // another. Nobody finds their logs; what is in them stays, entries and the rows that begin with
  // RowPrefixOf, for who deletes them by number.
  struct Detached {
    std::vector<uint64_t> logs;
    uint64_t groups = 0;
    uint64_t bytes = 0;  // of a log that does not open any more: up to its last checkpoint
  };
  absl::StatusOr<Detached> DetachTopics(storage::Transaction& transaction, uint32_t tenant,
                                        const InstantiationId& instantiation, RecordLogChanges& changes);
  static std::string RowPrefixOf(uint64_t log);  // of all rows of a log in kStreamTable

  // THREAD: the store's writer. Inside Done, with its status, for every task that used `changes`; and also
  // inside Prepare right before it returns a status other than OK, whoever that came from. The second call
  // does nothing.
  void Finish(RecordLogChanges& changes, const absl::Status& status);

  // After EraseTenant was committed.
  void Forget(uint32_t tenant);

  // Any thread. --------------------------------------------------------------------------------------------

  // Committed. Empty when nobody has opened the topic.
  absl::StatusOr<std::optional<TopicLog>> FindTopic(const TopicPlace& key) const;
  // All topics of an instantiation, committed, sorted by topic text.
  struct NamedLog {
    Topic topic;
    TopicLog log;
  };
  absl::StatusOr<std::vector<NamedLog>> TopicsOf(uint32_t tenant, const InstantiationId& instantiation) const;
  // The logs of a tenant from its store, for a start-up sweep: `after` is the last one seen.
  struct OwnedLog {
    TopicPlace key;
    TopicLog log;
  };
  absl::StatusOr<std::vector<OwnedLog>> Logs(uint32_t tenant, const std::optional<TopicPlace>& after,
                                             size_t max) const;

  // What Trim can discard of a log, oldest first, committed: groups up to a checkpoint, and when that was.
  struct Segment {
    absl::Time ended;
    uint64_t bytes = 0;
  };
  absl::StatusOr<std::vector<Segment>> SegmentsOf(storage::LogRef log) const;

  Stats GetStats() const;
  storage::LogStore& store() const;

 private:
  std::unique_ptr<RecordLogState> state_;
};

}  // namespace keystead
