// What Database does for copies of single tenants (tenant_copy.h).
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/storage/database.h"
#include "core/storage/tenant_replacement.h"
#include "core/storage/tenant_snapshot.h"

namespace keystead::storage {
namespace {

constexpr absl::string_view kReplacementPrefix = "/replacement-";
constexpr std::string_view kReplacementName = "replacement-";

}  // namespace

// No number: names of its own files RocksDB clears away when it likes.
std::string Database::NewReplacementPath(std::string_view what) const {
  return absl::StrCat(options_.path, kReplacementPrefix, ++replacements_, "-",
                      absl::string_view(what.data(), what.size()), ".sst");
}

absl::Status Database::RemoveReplacements() const {
  std::vector<std::string> names;
  KS_RETURN_IF_ERROR(Convert(Env()->GetChildren(options_.path, &names)));
  for (const std::string& name : names) {
    if (name.starts_with(kReplacementName))
      KS_RETURN_IF_ERROR(Convert(Env()->DeleteFile(absl::StrCat(options_.path, "/", name))));
  }
  return absl::OkStatus();
}

// So that little is left to write while the writer waits.
absl::Status Database::FlushBeforeReplace() {
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ == nullptr) return Closed();
  return Convert(db_->Flush(rocksdb::FlushOptions(), {rows_, entries_}));
}

absl::Status Database::Replace(const TableReplacement& with) {
  // First what was committed before: a database whose tables are ahead of its log does not open.
  KS_RETURN_IF_ERROR(Sync());
  absl::MutexLock reclaiming(&reclaiming_);
  trims_->Forget(with.tenant());
  absl::ReaderMutexLock lock(&mutex_);
  if (failed_ || db_ == nullptr) return Closed();
  rocksdb::IngestExternalFileOptions how;
  how.move_files = true;
  how.write_global_seqno = false;
  const std::vector<rocksdb::IngestExternalFileArg> families = {
      {rows_, {with.rows_path()}, how, {}, {}, rocksdb::Temperature::kUnknown},
      {entries_, {with.entries_path()}, how, {}, {}, rocksdb::Temperature::kUnknown}};
  const rocksdb::Status status = db_->IngestExternalFiles(families);
  if (!status.ok()) {
    failed_ = true;  // whether it counts, the next opening says
    return Convert(status);
  }
  for (const auto& [log, first_kept] : with.trims()) trims_->Set(log, first_kept);
  return absl::OkStatus();
}

void Database::EndSnapshots() {
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ != nullptr) EndSnapshotsLocked();
}

void Database::EndSnapshotsLocked() {
  absl::MutexLock registered(&snapshots_mutex_);
  for (DatabaseSnapshot* const snapshot : snapshots_) snapshot->GiveUp(*db_);
}

}  // namespace keystead::storage
