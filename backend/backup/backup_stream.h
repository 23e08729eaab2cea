// A backup as it is sent: what the store holds of a tenant at the moment of Begin, encrypted as it stands
// there. It opens nothing.
#pragma once

#include <memory>

#include "backend/at_rest/keystore.h"
#include "backend/backup/copy_source.h"
#include "core/copies/backup_file.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

class BackupStream final : public CopySource {
 public:
  // `disk` is the store below the encryption. Both outlive the stream. Errors are theirs.
  static absl::StatusOr<std::unique_ptr<BackupStream>> Begin(storage::LogStore& disk,
                                                             const at_rest::KeyStore& keys,
                                                             copies::BackupHeader header);
  absl::StatusOr<std::string> Next() override;

 private:
  BackupStream(std::unique_ptr<storage::TenantSnapshot> snapshot, const at_rest::KeyStore& keys,
               copies::BackupHeader header)
      : snapshot_(std::move(snapshot)), keys_(keys), header_(std::move(header)) {}

  std::unique_ptr<storage::TenantSnapshot> snapshot_;  // null behind the end
  const at_rest::KeyStore& keys_;
  const copies::BackupHeader header_;
  copies::FrameWriter frames_;
};

}  // namespace keystead::backend
