#include "device-sim/device_store.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/member/stream_sender.h"

namespace keystead::device_sim {
namespace {

constexpr uint64_t kLogsPerDevice = 8;
constexpr std::string_view kNextSlot = "/next";  // no device id contains a slash
constexpr size_t kMaxSigners = 4096;

absl::StatusOr<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return absl::DataLossError("a number in the store is damaged");
  }
  return value;
}

std::string MarkPrefix(uint64_t slot) { return absl::StrCat(slot, "/"); }
std::string MarkKey(uint64_t slot, const MemberId& signer) { return MarkPrefix(slot) + signer.ToHex(); }

}  // namespace

absl::StatusOr<StateFolder::Lock> LockState(const StateFolder& folder) {
  absl::StatusOr<StateFolder::Lock> lock = folder.Acquire("lock", false);
  if (!absl::IsUnavailable(lock.status())) return lock;
  return absl::UnavailableError(absl::StrCat(
      "state folder ", folder.path(), " is in use by another process: end it or choose another --state"));
}

absl::StatusOr<std::unique_ptr<storage::LogStore>> OpenDeviceStore(const std::string& path) {
  storage::Options options;
  options.path = path;
  options.format_name = "keystead-device-sim";
  options.tail_cache_bytes = 1 << 20;  // journals are read at start only
  options.block_cache_bytes = 1 << 20;
  return storage::LogStore::Open(options);
}

absl::StatusOr<std::vector<uint64_t>> AssignSlots(storage::LogStore& store,
                                                  const std::vector<std::string>& ids) {
  std::vector<uint64_t> slots;
  KS_RETURN_IF_ERROR(store.Commit([&](storage::Transaction& t) -> absl::Status {
    slots.clear();
    KS_ASSIGN_OR_RETURN(const std::optional<std::string> next_row,
                        t.Get(kStoreTenant, kSlotTable, kNextSlot));
    uint64_t next = 0;
    if (next_row.has_value()) {
      KS_ASSIGN_OR_RETURN(next, ParseNumber(*next_row));
    }
    for (const std::string& id : ids) {
      KS_ASSIGN_OR_RETURN(const std::optional<std::string> row, t.Get(kStoreTenant, kSlotTable, id));
      if (row.has_value()) {
        KS_ASSIGN_OR_RETURN(const uint64_t slot, ParseNumber(*row));
        slots.push_back(slot);
      } else {
        slots.push_back(next);
        t.Put(kStoreTenant, kSlotTable, id, absl::StrCat(next++));
      }
    }
    t.Put(kStoreTenant, kSlotTable, kNextSlot, absl::StrCat(next));
    return absl::OkStatus();
  }));
  return slots;
}

storage::LogRef JournalOf(uint64_t slot, JournalTopic topic) {
  return {kStoreTenant, slot * kLogsPerDevice + static_cast<uint64_t>(topic)};
}

absl::StatusOr<CommandMarks> CommandMarks::Load(storage::LogStore& store, uint64_t slot) {
  CommandMarks marks(store, slot);
  const std::string prefix = MarkPrefix(slot);
  KS_ASSIGN_OR_RETURN(
      const std::vector<storage::Row> rows,
      store.Scan(kStoreTenant, kMarkTable, {.prefix = prefix, .after = "", .max_rows = kMaxSigners}));
  for (const storage::Row& row : rows) {
    KS_ASSIGN_OR_RETURN(const MemberId signer, MemberId::FromHex(row.key.substr(prefix.size())));
    KS_ASSIGN_OR_RETURN(marks.marks_[signer], ParseNumber(row.value));
  }
  return marks;
}

std::optional<uint64_t> CommandMarks::Of(const MemberId& signer) const {
  const auto at = marks_.find(signer);
  return at == marks_.end() ? std::nullopt : std::optional<uint64_t>(at->second);
}

absl::Status CommandMarks::Raise(const MemberId& signer, uint64_t counter) {
  KS_RETURN_IF_ERROR(store_->Commit([&](storage::Transaction& t) {
    t.Put(kStoreTenant, kMarkTable, MarkKey(slot_, signer), absl::StrCat(counter));
    return absl::OkStatus();
  }));
  marks_[signer] = counter;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> LoadReaderSnapshot(const storage::LogStore& store, uint64_t slot) {
  return store.Get(kStoreTenant, kReaderTable, absl::StrCat(slot));
}

void SaveReaderSnapshot(storage::LogStore& store, uint64_t slot, std::string snapshot) {
  const size_t bytes = snapshot.size() + 64;
  auto prepare = [slot, snapshot = std::move(snapshot)](storage::Transaction& t) {
    t.Put(kStoreTenant, kReaderTable, absl::StrCat(slot), snapshot);
    return absl::OkStatus();
  };
  store
      .Submit(storage::MakeTask(
          bytes, std::move(prepare), [](const absl::Status&) {}, storage::Durability::kBuffered))
      .IgnoreError();
}

absl::StatusOr<uint64_t> LoadResetCounter(const storage::LogStore& store, uint64_t slot) {
  KS_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                      store.Get(kStoreTenant, kResetTable, absl::StrCat(slot)));
  return row.has_value() ? ParseNumber(*row) : absl::StatusOr<uint64_t>(uint64_t{0});
}

absl::Status SaveResetCounter(storage::LogStore& store, uint64_t slot, uint64_t counter) {
  return store.Commit([&](storage::Transaction& t) {
    t.Put(kStoreTenant, kResetTable, absl::StrCat(slot), absl::StrCat(counter));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<absl::Duration>> LoadLease(const storage::LogStore& store, uint64_t slot) {
  KS_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                      store.Get(kStoreTenant, kLeaseTable, absl::StrCat(slot)));
  if (!row.has_value()) return std::nullopt;
  KS_ASSIGN_OR_RETURN(const uint64_t milliseconds, ParseNumber(*row));
  return absl::Milliseconds(static_cast<int64_t>(milliseconds));
}

void SaveLease(storage::LogStore& store, uint64_t slot, absl::Duration charged) {
  auto prepare = [slot, charged](storage::Transaction& t) {
    t.Put(kStoreTenant, kLeaseTable, absl::StrCat(slot), absl::StrCat(absl::ToInt64Milliseconds(charged)));
    return absl::OkStatus();
  };
  store.Submit(storage::MakeTask(64, std::move(prepare), [](const absl::Status&) {})).IgnoreError();
}

absl::Status WipeDevice(storage::LogStore& store, uint64_t slot) {
  return store.Commit([&](storage::Transaction& t) -> absl::Status {
    for (const JournalTopic topic : {JournalTopic::kTelemetry, JournalTopic::kState}) {
      const storage::LogRef log = JournalOf(slot, topic);
      KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, t.GetBounds(log));
      KS_RETURN_IF_ERROR(t.Trim(log, bounds.end));
      t.Delete(log.tenant, kSenderTable, std::to_string(log.log));
    }
    const std::string prefix = MarkPrefix(slot);
    KS_ASSIGN_OR_RETURN(
        const std::vector<storage::Row> rows,
        t.Scan(kStoreTenant, kMarkTable, {.prefix = prefix, .after = "", .max_rows = kMaxSigners}));
    for (const storage::Row& row : rows) t.Delete(kStoreTenant, kMarkTable, row.key);
    t.Delete(kStoreTenant, kReaderTable, absl::StrCat(slot));
    t.Delete(kStoreTenant, kLeaseTable, absl::StrCat(slot));
    return absl::OkStatus();
  });
}

}  // namespace keystead::device_sim
