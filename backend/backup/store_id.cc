#include "backend/backup/store_id.h"

#include "backend/rows.h"
#include "core/base/random.h"
#include "core/base/status.h"

namespace keystead::backend {
namespace {

constexpr std::string_view kIdKey = "id";

}  // namespace

absl::StatusOr<copies::StoreId> OpenStoreId(storage::LogStore& store) {
  copies::StoreId id = RandomSource::System().NewId<copies::StoreId>();
  KS_RETURN_IF_ERROR(store.Commit([&](storage::Transaction& transaction) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const auto there, transaction.Get(kOwnTenant, kStoreTable, kIdKey));
    if (there.has_value()) {
      KS_ASSIGN_OR_RETURN(id, copies::StoreId::FromBytes(*there));
      return absl::OkStatus();
    }
    transaction.Put(kOwnTenant, kStoreTable, kIdKey, id.ToString());
    return absl::OkStatus();
  }));
  return id;
}

}  // namespace keystead::backend
