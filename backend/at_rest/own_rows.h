// The backend's own rows (tenant 0: names and numbers of tenants, the CAs of those that were created, their
// limits, who was erased) are sealed like a tenant's, under a key of the store's own in the same keystore.
// docs/decisions/0031-the-backends-own-rows.md.
#pragma once

#include "absl/status/status.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/at_rest/keystore.h"
#include "core/storage/log_store.h"

namespace keystead::backend::at_rest {

// Before anything else is read: makes the key and a mark under it where the store `disk` is new, and
// otherwise opens the mark. `store` is the one before `disk`. DATA_LOSS, saying what to do: the keystore has
// no key of the store, or has that of another.
absl::Status PairWithKeystore(EncryptedStore& store, storage::LogStore& disk, KeyStore& keys);

}  // namespace keystead::backend::at_rest
