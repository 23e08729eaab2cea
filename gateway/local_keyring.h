// The local copy of an instantiation's keyring, as the own membership reads it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/storage/log_store.h"

namespace keystead {
class RecordLog;
}

namespace keystead::gateway {

// Thread-safe.
class LocalKeyring {
 public:
  LocalKeyring(storage::LogStore* store, RecordLog* log) : store_(store), log_(log) {}

  // Entries from `from` on; none at the end. A position beyond the end (the last entries did not survive the
  // power) begins at the first: reading again changes nothing.
  absl::StatusOr<std::vector<storage::Entry>> Read(const InstantiationId& id, uint64_t from) const;
  absl::StatusOr<uint64_t> Position(const InstantiationId& id) const;
  absl::Status Note(const InstantiationId& id, uint64_t position);  // blocks; not on the writer's thread

 private:
  storage::LogStore* const store_;
  RecordLog* const log_;
};

}  // namespace keystead::gateway
