// A backup of one tenant: what the store holds of it, encrypted as it stands there, in the frames of
// frame_file.h. docs/decisions/0032-backup-restore-export.md.
//
//   'H'  CBOR [ "ks1 backup", store (16 bytes), tenant, number, taken (µs since 1970), key version ]; the
//   first 'E'  log(8) offset(8) value         an entry 'T'  log(8) first(8) end(8)         of a log that was
//   trimmed 'R'  table(1) length(2) key value   a row 'Z'  CBOR [ frames, SHA-256 of all before, HMAC-SHA-256
//   of that digest (32 bytes) ]
//
// The key of the HMAC hangs on the tenant's key in the keystore: nobody but the backend makes or edits one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/copies/frame_file.h"
#include "core/storage/tenant_copy.h"

namespace keystead::copies {

struct StoreIdTag {
  static constexpr std::string_view kName = "store id";
};
using StoreId = FixedBytes<StoreIdTag, 16>;  // random, made with a store

struct BackupHeader {
  StoreId store;
  TenantName tenant;
  uint32_t number = 0;  // the tenant's in that store
  absl::Time taken;
  uint32_t key_version = 0;  // the newest that it needs
};

struct BackupTrailer {
  uint64_t frames = 0;
  Digest digest;
  Digest mac;
};

std::string EncodeBackupHeader(const BackupHeader& header);
std::string EncodeBackupTrailer(const BackupTrailer& trailer);
char KindOf(const storage::TenantItem& item);
std::string EncodeItem(const storage::TenantItem& item);

// INVALID_ARGUMENT from each: not what the encoders make.
absl::StatusOr<BackupHeader> DecodeBackupHeader(const Frame& frame);
absl::StatusOr<BackupTrailer> DecodeBackupTrailer(const Frame& frame);
absl::StatusOr<storage::TenantItem> DecodeItem(const Frame& frame);

}  // namespace keystead::copies
