#include "backend/at_rest/own_rows.h"

#include "absl/strings/str_cat.h"
#include "backend/rows.h"
#include "core/base/status.h"

namespace keystead::backend::at_rest {
namespace {

constexpr std::string_view kMarkValue = "this keystore";

absl::Status NotAPair(std::string_view what) {
  return absl::DataLossError(absl::StrCat(
      Absl(what),
      ": give the --keystore of this store, or restore the two from backups that belong together"));
}

}  // namespace

absl::Status PairWithKeystore(EncryptedStore& store, storage::LogStore& disk, KeyStore& keys) {
  const absl::Status key = keys.CurrentVersion(kOwnTenant).status();
  if (!key.ok() && !absl::IsNotFound(key)) return key;
  KS_ASSIGN_OR_RETURN(const auto sealed, disk.Get(kOwnTenant, kCountTable, kKeystoreMark));
  if (sealed.has_value()) {
    if (!key.ok()) return NotAPair("the keystore has no key of the store's own rows");
    const absl::Status opened = store.Get(kOwnTenant, kCountTable, kKeystoreMark).status();
    return absl::IsDataLoss(opened) ? NotAPair("the keystore has the key of another store") : opened;
  }
  KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> tenants,
                      disk.Scan(kOwnTenant, kTenantTable, {.prefix = "", .after = "", .max_rows = 1}));
  if (!tenants.empty()) return NotAPair("the store's mark of its keystore is not there");
  if (!key.ok()) {
    const absl::Status created = keys.Create(kOwnTenant);
    if (absl::IsAlreadyExists(created))
      return NotAPair("the keystore has lost the key of the store's own rows");
    KS_RETURN_IF_ERROR(created);
  }
  return store.Commit([](storage::Transaction& transaction) {
    transaction.Put(kOwnTenant, kCountTable, kKeystoreMark, kMarkValue);
    return absl::OkStatus();
  });
}

}  // namespace keystead::backend::at_rest
