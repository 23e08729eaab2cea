// What the hostile equipment has seen: the latest genuine groups, and one old group of each stream, so that
// splices and replays find material also after much traffic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/base/random.h"
#include "keystead/v1/records.pb.h"

namespace keystead::infra {

struct MemoryLimits {
  size_t latest_bytes = 16 << 20;
  size_t latest_groups = 1000;
  size_t samples = 4096;          // streams of which one old group is kept
  size_t sample_bytes = 8 << 20;  // of all samples together
};

// One group that passed, and what went on instead of it.
struct Passing {
  std::shared_ptr<const std::string> group;
  std::string listener;
  std::string_view direction;  // DirectionName
  absl::Time seen;
  uint64_t attack = 0;                                   // which changed it; 0: it went on as it came in
  std::shared_ptr<const std::vector<std::string>> sent;  // when it was changed
};

// Bounded by its limits; the oldest of `latest` go first, samples stay. Not thread-safe.
class GroupMemory {
 public:
  explicit GroupMemory(const MemoryLimits& limits = {}) : limits_(limits) {}

  // `header` is the group's encoded StreamHeader (GroupView::header).
  void Remember(std::string_view header, std::string_view group, std::string_view listener = {},
                std::string_view direction = {}, absl::Time seen = absl::InfinitePast());
  // Of the newest such group that is remembered. What was sent counts against the bytes remembered.
  void NoteChanged(std::string_view listener, std::string_view direction, std::string_view group,
                   uint64_t attack, std::vector<std::string> sent);

  using Predicate = std::function<bool(const v1::SealedGroup&)>;
  // One remembered group that satisfies the predicate, picked by `random`; null when there is none. Looks at
  // all samples and at some of `latest`. Costs a parse of each: for attacks only.
  std::shared_ptr<const std::string> Pick(const Predicate& predicate, RandomSource& random) const;
  // The newest `count`, oldest of them first.
  std::vector<std::shared_ptr<const std::string>> Latest(size_t count) const;
  const std::deque<Passing>& passings() const { return latest_; }  // oldest first

 private:
  void DropOldest();

  const MemoryLimits limits_;

  std::deque<Passing> latest_;
  size_t latest_bytes_ = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const std::string>> samples_;  // by encoded header
  std::vector<std::shared_ptr<const std::string>> sample_order_;  // so that picking is reproducible
  size_t sample_bytes_ = 0;
};

}  // namespace keystead::infra
