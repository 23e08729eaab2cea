#include "core/storage/batch.h"

#include <algorithm>

#include "core/base/status.h"
#include "core/storage/keys.h"

namespace keystead::storage {

void Batch::BeginTask() {
  ++task_;
  entries_before_ = entries_;
  entry_bytes_before_ = entry_bytes_;
  writes_.SetSavePoint();
}

void Batch::KeepTask() {
  writes_.PopSavePoint().PermitUncheckedError();
  undo_logs_.clear();
  undo_rows_.clear();
  before_erase_.reset();
}

void Batch::RollBackTask() {
  writes_.RollbackToSavePoint().PermitUncheckedError();
  if (before_erase_) {
    state_ = std::move(*before_erase_);
    last_log_ = nullptr;
  }
  for (auto undo = undo_logs_.rbegin(); undo != undo_logs_.rend(); ++undo) {
    PendingLog& log = state_.logs[undo->log];
    log.bounds = undo->bounds;
    log.appended.resize(undo->appended);
    log.trimmed = undo->trimmed;
  }
  for (auto undo = undo_rows_.rbegin(); undo != undo_rows_.rend(); ++undo) {
    if (undo->present) {
      state_.rows[undo->key] = std::move(undo->value);
    } else {
      state_.rows.erase(undo->key);
    }
  }
  entries_ = entries_before_;
  entry_bytes_ = entry_bytes_before_;
  undo_logs_.clear();
  undo_rows_.clear();
  before_erase_.reset();
}

absl::StatusOr<Batch::PendingLog*> Batch::Find(LogRef log) {
  if (last_log_ != nullptr && last_ref_ == log) return last_log_;
  auto it = state_.logs.find(log);
  if (it == state_.logs.end()) {
    Bounds bounds;
    if (!state_.erased.contains(log.tenant)) {
      if (const std::optional<Bounds> known = directory_.GetBounds(log)) {
        bounds = *known;
      } else {
        KS_ASSIGN_OR_RETURN(bounds, database_.LoadBounds(log));
      }
    }
    it = state_.logs.emplace(log, PendingLog{bounds, {}, false, 0}).first;
  }
  last_ref_ = log;
  last_log_ = &it->second;
  return last_log_;
}

absl::StatusOr<Batch::PendingLog*> Batch::Change(LogRef ref) {
  KS_ASSIGN_OR_RETURN(PendingLog * log, Find(ref));
  if (log->task != task_ && !before_erase_) {
    undo_logs_.push_back({ref, log->bounds, log->appended.size(), log->trimmed});
    log->task = task_;
  }
  return log;
}

absl::StatusOr<uint64_t> Batch::Append(LogRef ref, Payload bytes) {
  KS_ASSIGN_OR_RETURN(PendingLog * log, Change(ref));
  const uint64_t offset = log->bounds.end;
  // Fails only for lack of memory or for more than 4 GiB, which no batch can hold.
  writes_.Put(database_.entries(), EntryKey(ref, offset).view(), *bytes).PermitUncheckedError();
  ++log->bounds.end;
  ++entries_;
  entry_bytes_ += bytes->size();
  log->appended.push_back(std::move(bytes));
  return offset;
}

absl::StatusOr<Bounds> Batch::GetBounds(LogRef ref) {
  KS_ASSIGN_OR_RETURN(const PendingLog* log, Find(ref));
  return log->bounds;
}

absl::Status Batch::Trim(LogRef ref, uint64_t first_kept) {
  KS_ASSIGN_OR_RETURN(const PendingLog* seen, Find(ref));
  first_kept = std::min(first_kept, seen->bounds.end);
  if (first_kept <= seen->bounds.first) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(PendingLog * log, Change(ref));
  log->bounds.first = first_kept;
  log->trimmed = true;
  // The end is kept too, so that offsets go on after everything was dropped.
  writes_.Put(database_.rows(), BoundsKey(ref), EncodeBounds(log->bounds)).PermitUncheckedError();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> Batch::Get(uint32_t tenant, Table table, std::string_view key) {
  if (!state_.rows.empty()) {
    const auto it = state_.rows.find(RowKey(tenant, table, key));
    if (it != state_.rows.end()) return it->second;
  }
  if (state_.erased.contains(tenant)) return std::nullopt;
  return database_.GetRow(tenant, table, key);
}

void Batch::SetRow(std::string key, std::optional<std::string> value) {
  const auto [it, added] = state_.rows.try_emplace(key);
  if (!before_erase_) undo_rows_.push_back({std::move(key), !added, std::move(it->second)});
  it->second = std::move(value);
}

void Batch::Put(uint32_t tenant, Table table, std::string_view key, std::string_view value) {
  std::string row = RowKey(tenant, table, key);
  writes_.Put(database_.rows(), row, rocksdb::Slice(value)).PermitUncheckedError();
  SetRow(std::move(row), std::string(value));
}

void Batch::Delete(uint32_t tenant, Table table, std::string_view key) {
  std::string row = RowKey(tenant, table, key);
  writes_.Delete(database_.rows(), row).PermitUncheckedError();
  SetRow(std::move(row), std::nullopt);
}

absl::StatusOr<std::vector<Row>> Batch::Scan(uint32_t tenant, Table table, const ScanRange& range) {
  const std::string prefix = RowKey(tenant, table, range.prefix);
  const std::string after = RowKey(tenant, table, range.after);
  auto pending = state_.rows.lower_bound(std::max(prefix, after));
  if (!range.after.empty() && pending != state_.rows.end() && pending->first == after) ++pending;
  const auto pending_left = [&] {
    return pending != state_.rows.end() && pending->first.starts_with(prefix);
  };

  // Merges pages of committed rows with the pending ones, which win.
  std::vector<Row> out;
  std::string seen(range.after);
  bool more = !state_.erased.contains(tenant);
  while (out.size() < range.max_rows) {
    std::vector<Row> committed;
    if (more) {
      KS_ASSIGN_OR_RETURN(committed, database_.ScanRows(tenant, table, {range.prefix, seen, range.max_rows}));
      more = committed.size() == range.max_rows;
    }
    for (size_t i = 0; out.size() < range.max_rows;) {
      const bool left = i < committed.size();
      if (!left && (more || !pending_left())) break;
      const std::string key = left ? RowKey(tenant, table, committed[i].key) : std::string();
      if (pending_left() && (!left || pending->first <= key)) {
        if (left && pending->first == key) ++i;
        if (pending->second) out.push_back({pending->first.substr(kRowPrefixBytes), *pending->second});
        ++pending;
        continue;
      }
      out.push_back(std::move(committed[i++]));
      if (i == committed.size()) seen = out.back().key;
    }
    if (!more) break;
    if (!committed.empty() && seen < committed.back().key) seen = committed.back().key;
  }
  return out;
}

void Batch::EraseTenant(uint32_t tenant) {
  if (!before_erase_) before_erase_ = state_;
  const std::string begin = TenantKey(tenant);
  const std::string end = TenantEndKey(tenant);
  writes_.DeleteRange(database_.rows(), begin, end).PermitUncheckedError();
  writes_.DeleteRange(database_.entries(), begin, end).PermitUncheckedError();
  state_.rows.erase(state_.rows.lower_bound(begin), state_.rows.lower_bound(end));
  absl::erase_if(state_.logs, [tenant](const auto& item) { return item.first.tenant == tenant; });
  state_.erased.insert(tenant);
  last_log_ = nullptr;
}

std::vector<std::pair<LogRef, uint64_t>> Batch::Trims() const {
  std::vector<std::pair<LogRef, uint64_t>> trims;
  for (const auto& [ref, log] : state_.logs) {
    if (log.trimmed) trims.emplace_back(ref, log.bounds.first);
  }
  return trims;
}

std::vector<LogChange> Batch::TakeChanges() {
  std::vector<LogChange> changes;
  changes.reserve(state_.logs.size());
  for (auto& [ref, log] : state_.logs) {
    // A log that was only looked at is worth remembering too.
    changes.push_back({ref, log.bounds, std::move(log.appended)});
  }
  return changes;
}

void Batch::Clear() {
  writes_.Clear();
  state_.logs.clear();
  state_.rows.clear();
  state_.erased.clear();
  entries_ = entry_bytes_ = 0;
  last_log_ = nullptr;
}

}  // namespace keystead::storage
