#include "backend/vault.h"

#include <string>
#include <string_view>
#include <utility>

#include "backend/at_rest/file_keystore.h"
#include "backend/at_rest/own_rows.h"
#include "backend/at_rest/pkcs11_keystore.h"
#include "core/base/mutants.h"
#include "core/base/status.h"

namespace keystead::backend {
namespace {

constexpr std::string_view kFormatName = "keystead-backend";
constexpr uint32_t kFormatVersion = 4;  // 3: what tenants store is encrypted. 4: the own rows too
constexpr std::string_view kKeystoreSuffix = ".keys";

absl::StatusOr<std::unique_ptr<at_rest::KeyStore>> OpenKeys(const BackendOptions& options,
                                                            const std::string& folder) {
  if (options.pkcs11.module.empty()) {
    KS_ASSIGN_OR_RETURN(auto files, at_rest::FileKeyStore::Open(folder));
    return files;
  }
  at_rest::Pkcs11Options pkcs11 = options.pkcs11;
  pkcs11.salt_folder = folder;
  KS_ASSIGN_OR_RETURN(auto token, at_rest::Pkcs11KeyStore::Open(pkcs11));
  return token;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Vault>> Vault::Open(const BackendOptions& options) {
  auto vault = std::make_unique<Vault>();
  const std::string folder =
      options.keystore.empty() ? options.store.path + std::string(kKeystoreSuffix) : options.keystore;
  KS_ASSIGN_OR_RETURN(vault->keys, OpenKeys(options, folder));
  vault->ciphers = std::make_unique<at_rest::Ciphers>(vault->keys.get());
  storage::Options store_options = options.store;
  store_options.format_name = std::string(kFormatName);
  store_options.format_version = kFormatVersion;
  KS_ASSIGN_OR_RETURN(vault->disk, storage::LogStore::Open(store_options));
  vault->encrypted = std::make_unique<at_rest::EncryptedStore>(vault->disk.get(), vault->ciphers.get());
  // The unprotected control of searches has nothing encrypted on the disk either.
  vault->store = MutantActive(Mutant::kNoSealing) ? vault->disk.get()
                                                  : static_cast<storage::LogStore*>(vault->encrypted.get());
  if (vault->store == vault->encrypted.get())
    KS_RETURN_IF_ERROR(at_rest::PairWithKeystore(*vault->encrypted, *vault->disk, *vault->keys));
  return vault;
}

}  // namespace keystead::backend
