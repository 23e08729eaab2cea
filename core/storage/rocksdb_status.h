// The one place where RocksDB's statuses become ours.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "rocksdb/status.h"

namespace keystead::storage {

// For a store that is open. `path` names it to the operator. Codes: see LogStore.
absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view path);

// For opening: also tells a lock held by another process, a path that cannot be written and a foreign
// database.
absl::Status FromRocksDbOpen(const rocksdb::Status& status, std::string_view path);

}  // namespace keystead::storage
