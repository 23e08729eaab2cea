// One backup that comes in, piece by piece, and what becomes of it.
//
// Everything is gathered beside the store and checked whole; then the tenant's data is exchanged for it in
// one step of the store, between two tasks of the writer. Until then nothing has changed, and a crash leaves
// nothing; after it all has. What is left to do then, to record it, a restart finds and does
// (TenantCopies::FinishInterrupted).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/audit_log.h"
#include "backend/backup/restored_rows.h"
#include "backend/tenant_view.h"
#include "core/copies/backup_file.h"
#include "keystead/v1/admin.pb.h"

namespace keystead::backend {

class Restoration {
 public:
  struct Parts {  // nothing is owned
    Tenants* tenants = nullptr;
    storage::LogStore* store = nullptr;
    storage::LogStore* disk = nullptr;  // below the encryption
    at_rest::Ciphers* ciphers = nullptr;
    const AuditLog* audit = nullptr;
    copies::StoreId store_id;
    // THREAD: the store's writer. What is remembered of the tenant counts no longer; its open calls end.
    std::function<void(const TenantView&)> forget;
    // After a tenant came back with revocations that were not known here.
    std::function<absl::Status(std::string_view object)> revoke;
  };
  // What an erasure that runs, or ran since `since`, would make of it.
  using Undisturbed = std::function<bool()>;
  Restoration(const Parts& parts, const TenantView& tenant, std::string actor, Undisturbed undisturbed);
  ~Restoration();

  // A status other than OK is the store's or the keystore's, and ends it. THREAD: any, one at a time; it
  // waits for disks.
  absl::Status Feed(std::string_view bytes);
  absl::Status Finish();
  // Set as soon as it is known, which may be before everything was fed.
  v1::RestoreOutcome outcome() const { return response_.outcome(); }
  const v1::RestoreResponse& response() const { return response_; }

 private:
  class Switch;
  absl::Status Refuse(v1::RestoreOutcome why, std::string_view detail);
  bool refused() const { return response_.outcome() != v1::RESTORE_OUTCOME_UNSPECIFIED; }
  absl::Status TakeHeader(const copies::Frame& frame);
  absl::Status Choose(const copies::BackupHeader& header);
  absl::Status Begin(const copies::BackupHeader& header);
  absl::Status TakeItem(const copies::Frame& frame);
  absl::Status TakeTrailer(const copies::Frame& frame);
  absl::StatusOr<bool> HoldsNothing() const;
  absl::Status Exchange();
  absl::Status StillWanted() const;
  std::string Detail() const;

  const Parts parts_;
  const TenantView tenant_;
  const std::string actor_;
  const Undisturbed undisturbed_;
  copies::FrameReader reader_;
  std::optional<copies::BackupHeader> header_;
  bool adopts_ = false;  // the tenant gets the backup's number
  std::shared_ptr<at_rest::TenantCipher> cipher_;
  std::unique_ptr<RestoredRows> rows_;
  std::unique_ptr<storage::TenantReplacement> replacement_;
  v1::RestoreResponse response_;
};

// Records a restoration whose rows are in place, in the tenant's audit log and the provider's. OK also when
// there is nothing to record.
absl::Status RecordRestored(storage::LogStore& store, const AuditLog& audit, const TenantView& tenant);

}  // namespace keystead::backend
