#include "core/storage/trim_filter.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "core/storage/keys.h"

namespace keystead::storage {
namespace {

class TrimFilter final : public rocksdb::CompactionFilter {
 public:
  explicit TrimFilter(std::shared_ptr<const TrimTable> trims) : trims_(std::move(trims)) {}

  Decision FilterV2(int, const rocksdb::Slice& key, ValueType, const rocksdb::Slice&, std::string*,
                    std::string* skip_until) const override {
    return Decide(key, skip_until);
  }
  // Answers for values in blob files without reading them.
  Decision FilterBlobByKey(int, const rocksdb::Slice& key, std::string*,
                           std::string* skip_until) const override {
    return Decide(key, skip_until);
  }
  const char* Name() const override { return "keystead.trim"; }

 private:
  Decision Decide(const rocksdb::Slice& key, std::string* skip_until) const {
    const std::optional<DecodedEntryKey> entry = DecodeEntryKey(key.ToStringView());
    if (!entry) return Decision::kKeep;
    if (!known_ || entry->log != log_) {  // keys come in order, so this happens once per log
      known_ = true;
      log_ = entry->log;
      first_kept_ = trims_->FirstKept(log_);
    }
    if (entry->offset >= first_kept_) return Decision::kKeep;
    // Skipping, unlike removing, leaves no tombstone; every key has one version only, so none can come back.
    *skip_until = std::string(EntryKey(log_, first_kept_).view());
    return Decision::kRemoveAndSkipUntil;
  }

  const std::shared_ptr<const TrimTable> trims_;
  mutable bool known_ = false;
  mutable LogRef log_;
  mutable uint64_t first_kept_ = 0;
};

}  // namespace

void TrimTable::Set(LogRef log, uint64_t first_kept) {
  absl::MutexLock lock(&mutex_);
  Trimmed& trimmed = logs_[log];
  trimmed.first_kept = std::max(trimmed.first_kept, first_kept);
}

void TrimTable::Forget(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  absl::erase_if(logs_, [tenant](const auto& item) { return item.first.tenant == tenant; });
}

void TrimTable::Clear() {
  absl::MutexLock lock(&mutex_);
  logs_.clear();
}

void TrimTable::Hold(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  ++holds_[tenant];
}

void TrimTable::Release(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  const auto it = holds_.find(tenant);
  if (--it->second == 0) holds_.erase(it);
}

uint64_t TrimTable::FirstKept(LogRef log) const {
  absl::MutexLock lock(&mutex_);
  if (holds_.contains(log.tenant)) return 0;
  const auto it = logs_.find(log);
  return it == logs_.end() ? 0 : it->second.first_kept;
}

std::vector<TrimTable::Range> TrimTable::TakeReclaimable(uint64_t min_entries) {
  std::vector<Range> ranges;
  absl::MutexLock lock(&mutex_);
  for (auto& [log, trimmed] : logs_) {
    if (holds_.contains(log.tenant)) continue;
    if (trimmed.first_kept - trimmed.reclaimed < min_entries) continue;
    ranges.push_back({log, trimmed.reclaimed, trimmed.first_kept});
    trimmed.reclaimed = trimmed.first_kept;
  }
  return ranges;
}

std::unique_ptr<rocksdb::CompactionFilter> TrimFilterFactory::CreateCompactionFilter(
    const rocksdb::CompactionFilter::Context&) {
  return std::make_unique<TrimFilter>(trims_);
}

bool TrimFilterFactory::ShouldFilterTableFileCreation(rocksdb::TableFileCreationReason reason) const {
  return reason == rocksdb::TableFileCreationReason::kFlush ||
         reason == rocksdb::TableFileCreationReason::kCompaction;
}

}  // namespace keystead::storage
