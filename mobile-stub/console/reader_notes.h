// What this app itself met at each place: which sealed object it opened there, and what it noticed. So that
// what others hold, and what an attack did, can be held against it.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "mobile-stub/watch_session.h"

namespace keystead::console {

// A record by its stream and sequence: a stream's id is new at every start of a sender and in every epoch.
struct RecordName {
  StreamId stream;
  uint64_t sequence = 0;
  bool operator==(const RecordName&) const = default;
  template <class H>
  friend H AbslHashValue(H h, const RecordName& name) {
    return H::combine(std::move(h), name.stream, name.sequence);
  }
};

struct Notice {
  std::string kind;  // "missing", "duplicate", or of an alarm as core/observe/security_event.h names it
  std::string detail;
  int64_t at_us = 0;
};

// Thread-safe. Bounded: the newest kMaxOpened records and kMaxNotices notices.
class ReaderNotes final : public mobile::WatchObserver {
 public:
  static constexpr size_t kMaxOpened = 16384;
  static constexpr size_t kMaxNotices = 4096;

  explicit ReaderNotes(const Clock* clock) : clock_(*clock) {}

  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnRecord(const ReadRecord& record) override;
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override;
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override;
  void OnAlarm(const SecurityEvent& event) override;

  std::optional<Digest> Opened(const RecordName& name) const;  // SHA-256 of the sealed object
  // The oldest first.
  std::vector<Notice> NoticesAt(const RecordName& name) const;

 private:
  struct At {
    StreamId stream;
    SequenceRange range;
    Notice notice;
  };
  void NoteOpened(const ReadRecord& record);
  void Note(const StreamId& stream, const SequenceRange& range, std::string kind, std::string detail);

  const Clock& clock_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<RecordName, Digest> opened_ ABSL_GUARDED_BY(mutex_);
  std::deque<RecordName> opened_order_ ABSL_GUARDED_BY(mutex_);
  std::deque<At> notices_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::console
