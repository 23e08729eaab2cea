#include "gateway/local_keyring.h"

#include "core/base/status.h"
#include "core/transport/record_log.h"
#include "gateway/rows.h"

namespace keystead::gateway {
namespace {
constexpr size_t kReadBytes = 256 << 10;
}

absl::StatusOr<std::vector<storage::Entry>> LocalKeyring::Read(const InstantiationId& id,
                                                               uint64_t from) const {
  KS_ASSIGN_OR_RETURN(const auto log, log_->FindTopic({kTenantNumber, id, Topic::Keyring()}));
  if (!log.has_value()) return std::vector<storage::Entry>();
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, store_->GetBounds(log->ref));
  if (bounds.first == bounds.end) return std::vector<storage::Entry>();
  return store_->Read(log->ref, from > bounds.end || from < bounds.first ? bounds.first : from, kReadBytes);
}

absl::StatusOr<uint64_t> LocalKeyring::Position(const InstantiationId& id) const {
  KS_ASSIGN_OR_RETURN(const auto row, store_->Get(kTenantNumber, kFollowTable, id.ToString()));
  if (!row.has_value()) return uint64_t{0};
  return DecodeNumber(*row);
}

absl::Status LocalKeyring::Note(const InstantiationId& id, uint64_t position) {
  return store_->Commit(
      [&](storage::Transaction& transaction) {
        transaction.Put(kTenantNumber, kFollowTable, id.ToString(), EncodeNumber(position));
        return absl::OkStatus();
      },
      storage::Durability::kBuffered);
}

}  // namespace keystead::gateway
