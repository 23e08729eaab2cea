// What of a backup comes back, what is left out, and what must differ from what it was.
//
// Left out: what an instantiation had that was erased since; in a store that the tenant is in already, what
// must not go back: its audit log, its revocations, what says that an instantiation was erased, its next log
// number. Different: the id of every log, so that no reader goes on at an offset that means another record
// now; and how much is stored, less what was left out. Everything that comes back has to open at its place.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "backend/at_rest/keystore.h"
#include "backend/at_rest/tenant_cipher.h"
#include "backend/rows.h"
#include "core/base/random.h"
#include "core/storage/tenant_copy.h"

namespace keystead::backend {

class RestoredRows {
 public:
  struct Options {
    uint32_t tenant = 0;        // its number in the backup, and here
    bool in_place = true;       // else into a store that has nothing of it
    bool keep_next_log = true;  // the number of the next log stays; in place only
  };
  // Rows of a tenant that a restoration leaves as they are, and which TenantReplacement is to keep.
  static std::vector<storage::RowRange> Staying(const Options& options);

  // Both outlive it.
  RestoredRows(const Options& options, at_rest::TenantCipher* cipher, at_rest::KeyStore* keys)
      : options_(options), staying_(Staying(options)), cipher_(cipher), keys_(keys) {}

  // In the order of TenantSnapshot. What to store; nothing: it is left out. DATA_LOSS: it does not open.
  absl::StatusOr<std::optional<storage::TenantItem>> Take(storage::TenantItem item);
  // The last row of all: what is to be recorded, until it was.
  absl::StatusOr<storage::TenantItem> Pending(std::string_view what) const;

  const StoredUsage& usage() const { return usage_; }
  uint64_t instantiations() const { return instantiations_; }
  uint64_t left_out() const { return left_out_; }

 private:
  absl::StatusOr<bool> IsErased(const at_rest::CompartmentId& compartment);
  absl::StatusOr<std::optional<storage::TenantItem>> TakeEntry(storage::TenantItem item);
  absl::StatusOr<std::optional<storage::TenantItem>> TakeRow(storage::TenantItem item);
  absl::StatusOr<bool> ComesBack(const storage::TenantItem& item, const storage::Row& row);
  absl::Status Rewrite(storage::TenantItem& item, const storage::Row& row);
  bool Stays(const storage::TenantItem& row) const;

  const Options options_;
  const std::vector<storage::RowRange> staying_;
  at_rest::TenantCipher* const cipher_;
  at_rest::KeyStore* const keys_;
  absl::flat_hash_map<at_rest::CompartmentId, bool> erased_;
  absl::flat_hash_set<uint64_t> dropped_logs_;
  StoredUsage dropped_;
  StoredUsage usage_;
  uint64_t instantiations_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace keystead::backend
