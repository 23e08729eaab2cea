// How one entry or one row of a tenant stands in the store: its key masked, its value sealed to its place.
// For EncryptedStore, and for those who handle what is stored without opening the store (backend/backup).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "backend/at_rest/tenant_cipher.h"
#include "core/storage/log_store.h"

namespace keystead::backend::at_rest {

std::string EntryAad(storage::LogRef log, uint64_t offset);

// A key, or a prefix of one, as it stands in the store.
struct MaskedKey {
  std::string bytes;
  std::optional<InstantiationId> instantiation;
};
// INTERNAL: it ends inside of a name.
absl::StatusOr<MaskedKey> Masked(const TenantCipher& cipher, storage::Table table, std::string_view key);

CompartmentId CompartmentOf(const TenantCipher& cipher, const std::optional<InstantiationId>& id);
// Of what Seal made; nothing when it is too short.
std::optional<CompartmentId> CompartmentOfSealed(std::string_view sealed);

// The value of a row as it stands in the store, with its key inside.
absl::StatusOr<std::string> SealRow(TenantCipher& cipher, uint32_t tenant, storage::Table table,
                                    const MaskedKey& masked, std::string_view key, std::string_view value);
// The row in the clear. DATA_LOSS: not what was sealed for this place, or of an instantiation whose salt was
// destroyed.
absl::StatusOr<storage::Row> UnsealRow(TenantCipher& cipher, uint32_t tenant, storage::Table table,
                                       std::string_view masked, std::string_view sealed);

}  // namespace keystead::backend::at_rest
