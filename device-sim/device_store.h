// The state folder of the process, and rows and logs of the devices in its one store: numbers, command marks,
// journals.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/program/state_folder.h"
#include "core/storage/log_store.h"

namespace keystead::device_sim {

inline constexpr uint32_t kStoreTenant = 1;
inline constexpr storage::Table kMarkTable{33};    // <slot>/<signer> → counter
inline constexpr storage::Table kReaderTable{34};  // <slot> → the command reader's snapshot
inline constexpr storage::Table kSlotTable{35};    // <device id> → slot
inline constexpr storage::Table kResetTable{36};   // <slot> → reset counter, beside the one in <id>.join
inline constexpr storage::Table kLeaseTable{37};  // <slot> → milliseconds without the owner (sealing/lease.h)

// That no other process has. UNAVAILABLE: one has it, with what to do; else as StateFolder::Acquire.
absl::StatusOr<StateFolder::Lock> LockState(const StateFolder& folder);
absl::StatusOr<std::unique_ptr<storage::LogStore>> OpenDeviceStore(const std::string& path);

// A number of its own for each id, the same at every start: gives new ones in one commit.
absl::StatusOr<std::vector<uint64_t>> AssignSlots(storage::LogStore& store,
                                                  const std::vector<std::string>& ids);

enum class JournalTopic : uint8_t { kTelemetry = 0, kState = 1 };
storage::LogRef JournalOf(uint64_t slot, JournalTopic topic);

// The highest command counter acted on, per signer. Thread-compatible.
class CommandMarks {
 public:
  static absl::StatusOr<CommandMarks> Load(storage::LogStore& store, uint64_t slot);
  std::optional<uint64_t> Of(const MemberId& signer) const;
  // Durable, fsync included, when it returns OK. Blocks; not on the store's writer thread.
  absl::Status Raise(const MemberId& signer, uint64_t counter);

 private:
  CommandMarks(storage::LogStore& store, uint64_t slot) : store_(&store), slot_(slot) {}
  storage::LogStore* store_;
  uint64_t slot_;
  std::map<MemberId, uint64_t> marks_;
};

absl::StatusOr<std::optional<std::string>> LoadReaderSnapshot(const storage::LogStore& store, uint64_t slot);
// In the background and without fsync: one that is lost means old commands are answered once more.
void SaveReaderSnapshot(storage::LogStore& store, uint64_t slot, std::string snapshot);

// The counter must never go back, also where <id>.join is lost: kept twice. Durable when it returns OK.
absl::StatusOr<uint64_t> LoadResetCounter(const storage::LogStore& store, uint64_t slot);  // 0: none stored
absl::Status SaveResetCounter(storage::LogStore& store, uint64_t slot, uint64_t counter);

absl::StatusOr<std::optional<absl::Duration>> LoadLease(const storage::LogStore& store, uint64_t slot);
// In the background, with fsync.
void SaveLease(storage::LogStore& store, uint64_t slot, absl::Duration charged);

// Factory reset: journals, marks, lease and snapshot of this device.
absl::Status WipeDevice(storage::LogStore& store, uint64_t slot);

}  // namespace keystead::device_sim
