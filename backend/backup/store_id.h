// What tells this store from others that the same keystore serves or has served.
#pragma once

#include "absl/status/statusor.h"
#include "core/copies/backup_file.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

// Rows of this folder. Far behind the others: what a restoration adds comes last.
inline constexpr storage::Table kRestoreTable{250};  // of a tenant: what a restoration has not recorded yet
inline constexpr storage::Table kStoreTable{251};    // of the backend itself: the store's id

// Made, durably, with the first call. Never on the writer's thread.
absl::StatusOr<copies::StoreId> OpenStoreId(storage::LogStore& store);

}  // namespace keystead::backend
