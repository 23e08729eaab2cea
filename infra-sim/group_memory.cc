#include "infra-sim/group_memory.h"

#include <algorithm>

#include "infra-sim/cose_regions.h"
#include "infra-sim/group_view.h"

namespace keystead::infra {

void GroupMemory::Remember(std::string_view header, std::string_view group) {
  auto kept = std::make_shared<const std::string>(group);
  if (samples_.size() < limits_.samples && sample_bytes_ + group.size() <= limits_.sample_bytes &&
      samples_.try_emplace(std::string(header), kept).second) {
    sample_bytes_ += group.size();
    sample_order_.push_back(kept);
  }
  latest_bytes_ += group.size();
  latest_.push_back(std::move(kept));
  while (!latest_.empty() &&
         (latest_.size() > limits_.latest_groups || latest_bytes_ > limits_.latest_bytes)) {
    latest_bytes_ -= latest_.front()->size();
    latest_.pop_front();
  }
}

std::shared_ptr<const std::string> GroupMemory::Pick(const Predicate& predicate, RandomSource& random) const {
  constexpr size_t kLatestTried = 64;  // an attack may be armed for all traffic: its cost stays bounded
  std::vector<std::shared_ptr<const std::string>> fitting;
  const auto consider = [&](const std::shared_ptr<const std::string>& group) {
    const auto parsed = ParseGroup(*group);
    if (parsed.has_value() && parsed->records_size() > 0 && predicate(*parsed)) fitting.push_back(group);
  };
  for (const auto& group : sample_order_) consider(group);
  if (latest_.size() <= kLatestTried) {
    for (const auto& group : latest_) consider(group);
  } else {
    for (size_t i = 0; i < kLatestTried; ++i) consider(latest_[Below(random, latest_.size())]);
  }
  if (fitting.empty()) return nullptr;
  return fitting[Below(random, fitting.size())];
}

std::vector<std::shared_ptr<const std::string>> GroupMemory::Latest(size_t count) const {
  const size_t from = latest_.size() - std::min(count, latest_.size());
  return {latest_.begin() + static_cast<std::ptrdiff_t>(from), latest_.end()};
}

}  // namespace keystead::infra
