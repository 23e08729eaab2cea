#include "gateway/keeper.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/transport/record_log.h"
#include "gateway/forwarder.h"
#include "gateway/rows.h"

namespace keystead::gateway {

Keeper::Keeper(storage::LogStore* store, RecordLog* log, const Forwarder* forwarder, uint64_t history_bytes)
    : store_(store),
      log_(log),
      forwarder_(forwarder),
      history_bytes_(history_bytes),
      step_(std::clamp<uint64_t>(history_bytes / 16, 4 << 10, 4 << 20)) {}

absl::Status Keeper::Restore() {
  std::optional<TopicPlace> after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<RecordLog::OwnedLog> logs, log_->Logs(kTenantNumber, after, 1000));
    if (logs.empty()) return absl::OkStatus();
    absl::MutexLock lock(&mutex_);
    for (const RecordLog::OwnedLog& owned : logs) {
      if (owned.key.topic.kind() != TopicKind::kKeyring) growth_[owned.log.ref].bytes = step_;
    }
    after = logs.back().key;
  }
}

void Keeper::Grew(storage::LogRef log, size_t bytes) {
  absl::MutexLock lock(&mutex_);
  growth_[log].bytes += bytes;
}

void Keeper::Tick() {
  std::vector<storage::LogRef> due;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [log, growth] : growth_) {
      const bool moved = growth.waits_above > 0 && forwarder_->CursorOf(log) > growth.waits_above;
      if (growth.bytes < step_ && !moved) continue;
      growth = {};
      due.push_back(log);
    }
  }
  for (const storage::LogRef log : due) Look(log);
}

void Keeper::Look(storage::LogRef log) {
  const auto changes = std::make_shared<RecordLogChanges>();
  const auto trim = [this, log, changes](storage::Transaction& transaction) -> absl::Status {
    const uint64_t cursor = forwarder_->CursorOf(log);
    Retention retention;
    retention.max_bytes = history_bytes_;
    retention.not_beyond = cursor;
    KS_RETURN_IF_ERROR(log_->Trim(transaction, log, retention, *changes).status());
    KS_ASSIGN_OR_RETURN(const uint64_t left, log_->BytesOf(transaction, log, *changes));
    if (left > history_bytes_ && cursor != UINT64_MAX) {
      absl::MutexLock lock(&mutex_);
      growth_[log].waits_above = cursor + 1;
    }
    return absl::OkStatus();
  };
  const absl::Status submitted = store_->Submit(storage::MakeTask(
      0,
      [this, trim, changes](storage::Transaction& transaction) {
        absl::Status status = trim(transaction);
        if (!status.ok()) log_->Finish(*changes, status);
        return status;
      },
      [this, log, changes](const absl::Status& status) {
        log_->Finish(*changes, status);
        if (!status.ok()) Grew(log, step_);
      },
      storage::Durability::kBuffered));
  if (!submitted.ok()) Grew(log, step_);
}

}  // namespace keystead::gateway
