// One tenant's part of a store as a whole: read as it is at one moment, or exchanged at one. For backups.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keystead::storage {

enum class Table : uint8_t;

// One of the things that a tenant has. It names no tenant: whoever puts it back says whose it is.
struct TenantItem {
  enum class Kind : uint8_t { kEntry = 1, kTrim = 2, kRow = 3 };
  Kind kind = Kind::kRow;
  uint64_t log = 0;     // of an entry or a trim
  uint64_t offset = 0;  // of an entry; of a trim the first that is kept
  uint64_t end = 0;     // of a trim: of its log
  Table table{};        // of a row
  std::string key;      // likewise
  std::string value;    // of an entry or a row
};

// Every entry that is kept, then every trim, then every row, each in ascending order. What is committed or
// trimmed afterwards does not show. It holds space on the disk: let it go soon, and before the store. One
// thread at a time.
class TenantSnapshot {
 public:
  virtual ~TenantSnapshot() = default;
  // About max_bytes of items, at least one; empty at the end. ABORTED: it had to be given up, because a
  // tenant was erased, whose files it would have kept, or because the disk failed.
  virtual absl::StatusOr<std::vector<TenantItem>> Next(size_t max_bytes) = 0;
};

// Rows of one table whose keys begin with a prefix.
struct RowRange {
  Table table{};
  std::string prefix;
};

// What a tenant is to have instead of what it has, gathered on the disk beside the store. Destroyed, it
// leaves nothing behind. One thread at a time, and not after the store.
class TenantReplacement {
 public:
  virtual ~TenantReplacement() = default;
  // In the order of TenantSnapshot. INVALID_ARGUMENT: out of order, or a row of those that stay.
  virtual absl::Status Add(const TenantItem& item) = 0;
  // All is there, and durable. Then a task may carry it (Task::replacement).
  virtual absl::Status Finish() = 0;
};

}  // namespace keystead::storage
