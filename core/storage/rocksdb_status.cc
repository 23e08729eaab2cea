#include "core/storage/rocksdb_status.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"

namespace keystead::storage {
namespace {

std::string OneLine(const rocksdb::Status& status) {
  std::string text = status.ToString();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view path) {
  if (status.ok()) return absl::OkStatus();
  const std::string why = absl::StrCat(" (", OneLine(status), ")");
  const absl::string_view at = Absl(path);
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the disk of store ", at, " is full: free some space, writing then goes on by itself", why));
  }
  if (status.IsCorruption()) {
    return absl::DataLossError(absl::StrCat("store ", at, " is damaged: restore it from a backup", why));
  }
  if (status.IsIOError() || status.IsAborted() || status.IsShutdownInProgress() || status.IsTimedOut() ||
      status.IsBusy() || status.IsIncomplete() || status.IsTryAgain()) {
    return absl::UnavailableError(
        absl::StrCat("the disk of store ", at, " fails: repair it, writing then goes on by itself", why));
  }
  return absl::InternalError(absl::StrCat("store ", at, " was used in a wrong way", why));
}

absl::Status FromRocksDbOpen(const rocksdb::Status& status, std::string_view path) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = OneLine(status);
  const absl::string_view at = Absl(path);
  // RocksDB tells these apart by text only.
  if (absl::StrContains(text, "lock ") || absl::StrContains(text, "LOCK: Resource temporarily unavailable")) {
    if (absl::StrContains(text, "Permission denied") || absl::StrContains(text, "Read-only file system")) {
      return absl::PermissionDeniedError(
          absl::StrCat("store ", at, " cannot be written: give this user write access to it"));
    }
    return absl::UnavailableError(
        absl::StrCat("store ", at, " is in use by another process: stop that one, or choose another path"));
  }
  if (absl::StrContains(text, "Permission denied") || absl::StrContains(text, "Read-only file system")) {
    return absl::PermissionDeniedError(
        absl::StrCat("store ", at, " cannot be written: give this user write access to it (", text, ")"));
  }
  if (absl::StrContains(text, "Column families not opened") ||
      absl::StrContains(text, "Column family not found")) {
    return absl::FailedPreconditionError(
        absl::StrCat("store ", at, " is a database of another program: choose another path"));
  }
  // A file that the manifest lists and that is not there is damage, not a failing disk.
  if (status.IsPathNotFound() || absl::StrContains(text, "No such file") || status.IsInvalidArgument() ||
      status.IsNotFound() || status.IsNotSupported()) {
    return absl::DataLossError(
        absl::StrCat("store ", at, " is damaged: restore it from a backup (", text, ")"));
  }
  return FromRocksDb(status, path);
}

}  // namespace keystead::storage
