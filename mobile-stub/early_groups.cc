#include "mobile-stub/early_groups.h"

#include <utility>

namespace keystead::mobile {

bool EarlyGroups::Hold(const Topic& topic, uint64_t epoch, const Payload& bytes, absl::Duration now) {
  const size_t cost = bytes->size() + kCost;
  if (cost > kMaxBytes - bytes_) return false;
  bytes_ += cost;
  waiting_.push_back({epoch, now + kPatience, {topic, bytes}});
  return true;
}

std::vector<EarlyGroups::Group> EarlyGroups::Release(uint64_t known, absl::Duration now) {
  std::vector<Group> out;
  std::deque<Waiting> left;
  for (Waiting& w : waiting_) {
    if (w.epoch > known && now < w.until) {
      left.push_back(std::move(w));
      continue;
    }
    bytes_ -= w.group.bytes->size() + kCost;
    out.push_back(std::move(w.group));
  }
  waiting_ = std::move(left);
  return out;
}

}  // namespace keystead::mobile
