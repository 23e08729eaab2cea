// What stored groups contain, by digest: groups that were read for a look-up, kept for the next one, because
// what is sent again is sent again in order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/ids.h"
#include "core/storage/log_store.h"

namespace keystead {

// Of one group.
class RecordDigests {
 public:
  void Add(uint64_t sequence, const Digest& digest) { records_.push_back({sequence, digest}); }  // rising
  size_t size() const { return records_.size(); }
  const Digest* Find(uint64_t sequence) const {
    const auto at =
        std::lower_bound(records_.begin(), records_.end(), sequence,
                         [](const Record& record, uint64_t value) { return record.sequence < value; });
    return at != records_.end() && at->sequence == sequence ? &at->digest : nullptr;
  }

 private:
  struct Record {
    uint64_t sequence = 0;
    Digest digest;
  };
  std::vector<Record> records_;
};

// Not thread-safe. Holds at most `max_records` records beside those of the newest group; what was not used
// for longest goes.
class DigestCache {
 public:
  explicit DigestCache(size_t max_records = 1 << 16) : max_records_(max_records) {}

  // Null when it is not known. Valid until the next call that is not a Find.
  const RecordDigests* Find(storage::LogRef log, uint64_t offset) {
    const auto found = by_place_.find({log, offset});
    if (found == by_place_.end()) return nullptr;
    groups_.splice(groups_.begin(), groups_, found->second);
    return &groups_.front().records;
  }
  const RecordDigests* Put(storage::LogRef log, uint64_t offset, RecordDigests records) {
    records_ += records.size();
    groups_.push_front({log, offset, std::move(records)});
    by_place_[{log, offset}] = groups_.begin();
    while (records_ > max_records_ && groups_.size() > 1) Drop(std::prev(groups_.end()));
    return &groups_.front().records;
  }
  // Entries from an offset on.
  void Forget(storage::LogRef log, uint64_t from) {
    for (auto group = groups_.begin(); group != groups_.end();) {
      const auto next = std::next(group);
      if (group->log == log && group->offset >= from) Drop(group);
      group = next;
    }
  }
  void Clear() {
    by_place_.clear();
    groups_.clear();
    records_ = 0;
  }

 private:
  struct Group {
    storage::LogRef log;
    uint64_t offset = 0;
    RecordDigests records;
  };
  void Drop(std::list<Group>::iterator group) {
    records_ -= group->records.size();
    by_place_.erase({group->log, group->offset});
    groups_.erase(group);
  }

  const size_t max_records_;
  size_t records_ = 0;
  std::list<Group> groups_;  // most recently used first
  absl::flat_hash_map<std::pair<storage::LogRef, uint64_t>, std::list<Group>::iterator> by_place_;
};

}  // namespace keystead
