// Groups under an epoch that is not known here yet. A commit comes in another call than what is written under
// it and may be overtaken: what would be refused a moment too soon waits for it, for a while and within
// bounds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/time/time.h"
#include "core/base/topic.h"
#include "core/transport/group_view.h"

namespace keystead::mobile {

// Not thread-safe.
class EarlyGroups {
 public:
  static constexpr size_t kMaxBytes = 4 << 20;  // of all groups, each with kCost
  static constexpr size_t kCost = 128;
  static constexpr absl::Duration kPatience = absl::Seconds(3);
  struct Group {
    Topic topic;
    Payload bytes;
  };

  // False: there is no room, and it is to be judged as it is.
  bool Hold(const Topic& topic, uint64_t epoch, const Payload& bytes, absl::Duration now);
  // Those of epochs up to `known`, and those that waited too long; in the order they came.
  std::vector<Group> Release(uint64_t known, absl::Duration now);

  bool empty() const { return waiting_.empty(); }
  bool Holds(const Topic& topic) const {
    return std::ranges::any_of(waiting_, [&](const Waiting& w) { return w.group.topic == topic; });
  }

 private:
  struct Waiting {
    uint64_t epoch;
    absl::Duration until;
    Group group;
  };
  std::deque<Waiting> waiting_;
  size_t bytes_ = 0;
};

}  // namespace keystead::mobile
