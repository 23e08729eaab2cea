// Offsets towards readers. A reader ends a call whose offsets do not rise, so a liar who adds entries has to
// count them: everything behind an added entry stands that much higher for this reader from then on, also in
// its later calls, which ask for a position in the liar's numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keystead::infra {

// How much higher, by reader, log and topic. It only grows. Thread-safe.
class OffsetShifts {
 public:
  uint64_t Get(const std::string& key) const {
    absl::MutexLock lock(&mutex_);
    const auto found = shifts_.find(key);
    return found == shifts_.end() ? 0 : found->second;
  }
  void RaiseTo(const std::string& key, uint64_t shift) {
    absl::MutexLock lock(&mutex_);
    uint64_t& held = shifts_[key];
    if (shift > held) held = shift;
  }

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, uint64_t> shifts_ ABSL_GUARDED_BY(mutex_);
};

// The numbers of one topic in one call. Not thread-safe.
class TopicOffsets {
 public:
  void Open(OffsetShifts* shifts, std::string key) {
    shifts_ = shifts;
    key_ = std::move(key);
  }
  // The number that Next would give.
  uint64_t Peek(uint64_t genuine) const { return std::max(genuine + Shift(), next_); }
  // The number under which the entry, or one in its place, goes on.
  uint64_t Next(uint64_t genuine) {
    const uint64_t given = Peek(genuine);
    next_ = given + 1;
    return given;
  }
  // Everything below `genuine_end` was looked at; what comes next must stand above what was given out.
  void Close(uint64_t genuine_end) {
    if (genuine_end > end_) end_ = genuine_end;
    if (shifts_ != nullptr && next_ > end_ + Shift()) shifts_->RaiseTo(key_, next_ - end_);
  }
  uint64_t Shift() const { return shifts_ == nullptr ? 0 : shifts_->Get(key_); }

 private:
  OffsetShifts* shifts_ = nullptr;
  std::string key_;
  uint64_t next_ = 0;
  uint64_t end_ = 0;
};

}  // namespace keystead::infra
