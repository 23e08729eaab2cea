// What is stored, and what it is encrypted with.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/at_rest/keystore.h"
#include "backend/backend.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

// Calls nothing else of the backend.
struct Vault {
  // Keystore first, then the store; both are each other's, or it does not open (at_rest/own_rows.h). Errors
  // as of Backend::Start.
  static absl::StatusOr<std::unique_ptr<Vault>> Open(const BackendOptions& options);

  std::unique_ptr<at_rest::KeyStore> keys;
  std::unique_ptr<at_rest::Ciphers> ciphers;
  std::unique_ptr<at_rest::EncryptedStore> encrypted;
  storage::LogStore* store = nullptr;       // what everybody uses
  std::unique_ptr<storage::LogStore> disk;  // goes first, and finishes its tasks: they encrypt
};

}  // namespace keystead::backend
