#include "infra-sim/group_memory.h"

#include <algorithm>

#include "infra-sim/cose_regions.h"
#include "infra-sim/group_view.h"

namespace keystead::infra {

namespace {

size_t BytesOf(const Passing& passing) {
  size_t out = passing.group->size();
  if (passing.sent != nullptr) {
    for (const std::string& sent : *passing.sent) out += sent.size();
  }
  return out;
}

}  // namespace

void GroupMemory::Remember(std::string_view header, std::string_view group, std::string_view listener,
                           std::string_view direction, absl::Time seen) {
  auto kept = std::make_shared<const std::string>(group);
  if (samples_.size() < limits_.samples && sample_bytes_ + group.size() <= limits_.sample_bytes &&
      samples_.try_emplace(std::string(header), kept).second) {
    sample_bytes_ += group.size();
    sample_order_.push_back(kept);
  }
  latest_bytes_ += group.size();
  latest_.push_back({.group = std::move(kept),
                     .listener = std::string(listener),
                     .direction = direction,
                     .seen = seen,
                     .sent = nullptr});
  DropOldest();
}

void GroupMemory::DropOldest() {
  while (!latest_.empty() &&
         (latest_.size() > limits_.latest_groups || latest_bytes_ > limits_.latest_bytes)) {
    latest_bytes_ -= BytesOf(latest_.front());
    latest_.pop_front();
  }
}

void GroupMemory::NoteChanged(std::string_view listener, std::string_view direction, std::string_view group,
                              uint64_t attack, std::vector<std::string> sent) {
  const auto at = std::find_if(latest_.rbegin(), latest_.rend(), [&](const Passing& passing) {
    return passing.listener == listener && passing.direction == direction && *passing.group == group;
  });
  if (at == latest_.rend()) return;
  latest_bytes_ -= BytesOf(*at);
  at->attack = attack;
  at->sent = std::make_shared<const std::vector<std::string>>(std::move(sent));
  latest_bytes_ += BytesOf(*at);
  DropOldest();
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
    for (const Passing& passing : latest_) consider(passing.group);
  } else {
    for (size_t i = 0; i < kLatestTried; ++i) consider(latest_[Below(random, latest_.size())].group);
  }
  if (fitting.empty()) return nullptr;
  return fitting[Below(random, fitting.size())];
}

std::vector<std::shared_ptr<const std::string>> GroupMemory::Latest(size_t count) const {
  std::vector<std::shared_ptr<const std::string>> out;
  for (size_t at = latest_.size() - std::min(count, latest_.size()); at < latest_.size(); ++at)
    out.push_back(latest_[at].group);
  return out;
}

}  // namespace keystead::infra
