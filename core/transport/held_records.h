// Reading records out of a RecordLog by their places, for whoever looks at what is stored
// (observer_service.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/transport/record_log.h"

namespace keystead {

// Of a record within its topic.
struct PlaceInTopic {
  MemberId sender;
  uint64_t epoch = 0;
  StreamId stream;
  uint64_t sequence = 0;
};

struct StoredEntry {
  TopicLog log;
  uint64_t offset = 0;
  Payload group;  // as its store reads it; null when there is something that it cannot open
  // When it was stored: a log notes the time only with its checkpoints. InfinitePast: not known.
  absl::Time not_before = absl::InfinitePast();
  absl::Time not_after = absl::InfiniteFuture();  // likewise
};

// What is committed. Nothing is written, no log is made, opened or remembered. Any thread; the log must
// outlive it. Of a topic that there is not, nothing. Errors are the store's.
class HeldRecords {
 public:
  explicit HeldRecords(const RecordLog& log) : log_(log) {}

  // The groups that have a record at one of these places, variants included, each once, in order of offset.
  // Reads what came since the last checkpoint of the log (record_log.h), and for each place one group for
  // every record that is there. Stops when there is more than one message can carry; what does not open is
  // said to lie there where a row says so.
  absl::StatusOr<std::vector<StoredEntry>> At(const TopicPlace& topic,
                                              std::span<const PlaceInTopic> places) const;
  // The newest `groups` of the topic, oldest of them first; fewer when they do not fit into one message.
  absl::StatusOr<std::vector<StoredEntry>> Newest(const TopicPlace& topic, size_t groups) const;

 private:
  class Finder;
  absl::StatusOr<StoredEntry> Dated(const TopicLog& log, uint64_t offset, Payload group) const;

  const RecordLog& log_;
};

}  // namespace keystead
