#include "backend/backup/backup_stream.h"

#include <utility>

#include "backend/backup/copy_key.h"
#include "core/base/status.h"

namespace keystead::backend {

absl::StatusOr<std::unique_ptr<BackupStream>> BackupStream::Begin(storage::LogStore& disk,
                                                                  const at_rest::KeyStore& keys,
                                                                  copies::BackupHeader header) {
  KS_ASSIGN_OR_RETURN(auto snapshot, disk.SnapshotTenant(header.number));
  // After the snapshot: nothing in it is under a later version.
  KS_ASSIGN_OR_RETURN(header.key_version, keys.CurrentVersion(header.number));
  return std::unique_ptr<BackupStream>(new BackupStream(std::move(snapshot), keys, std::move(header)));
}

absl::StatusOr<std::string> BackupStream::Next() {
  std::string out;
  if (snapshot_ == nullptr) return out;
  if (frames_.frames() == 0) frames_.Append(out, 'H', copies::EncodeBackupHeader(header_));
  KS_ASSIGN_OR_RETURN(const std::vector<storage::TenantItem> items, snapshot_->Next(kCopyChunkBytes));
  for (const storage::TenantItem& item : items)
    frames_.Append(out, copies::KindOf(item), copies::EncodeItem(item));
  if (!items.empty()) return out;
  snapshot_.reset();
  copies::BackupTrailer trailer{.frames = frames_.frames(), .digest = frames_.digest(), .mac = {}};
  KS_ASSIGN_OR_RETURN(trailer.mac, MacOfBackup(keys_, header_.number, trailer.digest));
  frames_.AppendTrailer(out, copies::EncodeBackupTrailer(trailer));
  return out;
}

}  // namespace keystead::backend
