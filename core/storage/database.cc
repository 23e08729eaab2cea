#include "core/storage/database.h"

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/storage/keys.h"
#include "core/storage/rocksdb_options.h"
#include "core/storage/rocksdb_status.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"

namespace keystead::storage {
namespace {

constexpr char kEntriesFamily[] = "entries";
constexpr size_t kProbeBytes = 4 << 20;

bool IsRocksDbFile(const std::string& name) {
  return name == "LOCK" || name == "IDENTITY" || name == "CURRENT" || name == "lost+found" ||
         name.starts_with("LOG") || name.starts_with("MANIFEST-") || name.starts_with("OPTIONS-") ||
         name.ends_with(".log") || name.ends_with(".sst") || name.ends_with(".blob") ||
         name.ends_with(".dbtmp");
}

// Syncs the file, after cutting it down to `size` bytes if one is given and it is longer.
rocksdb::Status SyncFile(rocksdb::FileSystem& fs, const std::string& path, std::optional<uint64_t> size) {
  uint64_t now = 0;
  rocksdb::IOStatus status = fs.GetFileSize(path, {}, &now, nullptr);
  if (!status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  status = fs.ReopenWritableFile(path, {}, &file, nullptr);
  if (status.ok() && size && now > *size) status = file->Truncate(*size, {}, nullptr);
  if (status.ok()) status = file->Fsync({}, nullptr);
  if (status.ok()) status = file->Close({}, nullptr);
  return status;
}

}  // namespace

Database::Database(const Options& options)
    : options_(options),
      fs_(std::make_shared<WalFileSystem>(options.file_system != nullptr ? options.file_system
                                                                         : rocksdb::FileSystem::Default())),
      env_(rocksdb::NewCompositeEnv(fs_)) {}

Database::~Database() {
  absl::MutexLock lock(&mutex_);
  CloseRocksDb();
  // Closing a log file whose write failed may have put the failed batch back.
  if (failed_ && !cut_path_.empty()) CutWal().PermitUncheckedError();
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const Options& options) {
  std::unique_ptr<Database> database(new Database(options));
  KS_RETURN_IF_ERROR(database->CheckDirectory());
  KS_RETURN_IF_ERROR(database->RemoveReplacements());
  absl::MutexLock lock(&database->mutex_);
  KS_RETURN_IF_ERROR(database->OpenRocksDb(/*flush=*/true));
  KS_RETURN_IF_ERROR(database->CheckFormat());
  KS_RETURN_IF_ERROR(database->LoadTrims());
  return database;
}

// RocksDB itself would create a new database over the remains of one whose CURRENT file is lost.
absl::Status Database::CheckDirectory() const {
  namespace fs = std::filesystem;
  const absl::string_view path = options_.path;
  std::error_code error;
  bool current = false;
  bool data = false;
  for (fs::directory_iterator it(options_.path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!IsRocksDbFile(name)) {
      return absl::FailedPreconditionError(absl::StrCat("directory ", path, " holds other files (", name,
                                                        ") and is not a store: choose another path"));
    }
    current = current || name == "CURRENT";
    data = data || name.ends_with(".sst") || name.ends_with(".blob");
  }
  if (error == std::errc::no_such_file_or_directory) {
    if (!options_.create_if_missing) {
      return absl::NotFoundError(
          absl::StrCat("there is no store at ", path, ": check the path, or create one"));
    }
    error.clear();
    fs::create_directories(options_.path, error);
  }
  if (error == std::errc::permission_denied || error == std::errc::read_only_file_system) {
    return absl::PermissionDeniedError(
        absl::StrCat("store ", path, " cannot be written: give this user write access to it"));
  }
  if (error == std::errc::no_space_on_device) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the disk of store ", path, " is full: free some space"));
  }
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("store ", path, " cannot be a directory: choose another path (", error.message(), ")"));
  }
  if (!current && data) {
    return absl::DataLossError(
        absl::StrCat("store ", path, " is damaged: restore it from a backup (no file CURRENT)"));
  }
  if (!current && !options_.create_if_missing) {
    return absl::NotFoundError(
        absl::StrCat("there is no store at ", path, ": check the path, or create one"));
  }
  return absl::OkStatus();
}

absl::Status Database::OpenRocksDb(bool flush) {
  rocksdb::DBOptions db_options = MakeDbOptions(options_, Env());
  // Where the disk has just been full, opening should need as little of it as possible.
  db_options.avoid_flush_during_recovery = !flush;
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, MakeRowsOptions(options_)},
      {kEntriesFamily, MakeEntriesOptions(options_, trims_)}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(db_options, options_.path, families, &handles, &db);
  if (!status.ok()) return FromRocksDbOpen(status, options_.path);
  db_.reset(db);
  rows_ = handles[0];
  entries_ = handles[1];
  return absl::OkStatus();
}

absl::Status Database::CheckFormat() {
  std::string bytes;
  rocksdb::Status status = db_->Get({}, rows_, FormatKey(), &bytes);
  if (status.IsNotFound()) {
    // New, or creation was cut short before this row. Anything else in it was not written by us.
    for (rocksdb::ColumnFamilyHandle* family : {rows_, entries_}) {
      const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, family));
      it->SeekToFirst();
      if (it->Valid()) {
        return absl::FailedPreconditionError(
            absl::StrCat("store ", options_.path, " is a database of another program: choose another path"));
      }
      KS_RETURN_IF_ERROR(Convert(it->status()));
    }
    rocksdb::WriteOptions write;
    write.sync = true;
    return Convert(
        db_->Put(write, rows_, FormatKey(), EncodeFormat(options_.format_name, options_.format_version)));
  }
  KS_RETURN_IF_ERROR(Convert(status));
  std::string name;
  uint32_t version = 0;
  if (!DecodeFormat(bytes, &name, &version)) {
    return absl::DataLossError(
        absl::StrCat("store ", options_.path, " is damaged: restore it from a backup"));
  }
  if (name != options_.format_name) {
    return absl::FailedPreconditionError(absl::StrCat("store ", options_.path, " was written by ", name,
                                                      ", not by ", options_.format_name,
                                                      ": choose another path"));
  }
  if (version != options_.format_version) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", options_.path, " has format ", version, " of ", name, ", this program reads format ",
        options_.format_version, ": use the program version that wrote it, or choose another path"));
  }
  return absl::OkStatus();
}

absl::Status Database::LoadTrims() {
  trims_->Clear();
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, rows_));
  it->SeekToFirst();
  while (it->Valid() && it->key() != FormatKey()) {
    const std::optional<LogRef> log = DecodeBoundsKey(it->key().ToStringView());
    if (log) {
      const std::optional<Bounds> bounds = DecodeBounds(it->value().ToStringView());
      if (!bounds)
        return absl::DataLossError(absl::StrCat("store ", options_.path, " is damaged: bounds of a log"));
      trims_->Set(*log, bounds->first);
      it->Next();
      continue;
    }
    const uint32_t tenant = DecodeTenant(it->key().ToStringView());  // past its bounds: on to the next tenant
    it->Seek(TenantEndKey(tenant));
  }
  return Convert(it->status());
}

void Database::CloseRocksDb() {
  if (db_ == nullptr) return;
  EndSnapshotsLocked();
  for (rocksdb::ColumnFamilyHandle* family : {rows_, entries_}) {
    db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  rows_ = entries_ = nullptr;
  db_->Close().PermitUncheckedError();  // what has to be durable was synced before
  db_.reset();
}

absl::Status Database::Convert(const rocksdb::Status& status) const {
  return FromRocksDb(status, options_.path);
}

absl::Status Database::Closed() const {
  return absl::UnavailableError(
      absl::StrCat("the disk of store ", options_.path, " fails: repair it, reading then goes on by itself"));
}

absl::Status Database::Write(rocksdb::WriteBatch& batch, bool sync) {
  absl::ReaderMutexLock lock(&mutex_);
  if (failed_ || db_ == nullptr) return Closed();
  const WalFileSystem::Position before = fs_->End();
  rocksdb::WriteOptions write;
  write.sync = sync;
  const rocksdb::Status status = db_->Write(write, &batch);
  if (!status.ok()) {
    NoteFailure(before);
    failed_ = true;
    return Convert(status);
  }
  unsynced_ = !sync;
  return absl::OkStatus();
}

absl::Status Database::Sync() {
  absl::ReaderMutexLock lock(&mutex_);
  if (failed_ || db_ == nullptr) return Closed();
  if (!unsynced_) return absl::OkStatus();
  const rocksdb::Status status = db_->FlushWAL(/*sync=*/true);
  failed_ = !status.ok();
  unsynced_ = failed_;
  return Convert(status);
}

// The failed batch lies in the log file that is current now: behind `before`, or from its start if it is a
// new file.
void Database::NoteFailure(WalFileSystem::Position before) {
  const WalFileSystem::Position now = fs_->End();
  char name[32];
  std::snprintf(name, sizeof name, "/%06llu.log", static_cast<unsigned long long>(now.number));
  cut_path_ = options_.path + name;
  cut_size_ = now.number == before.number ? before.size : 0;
  CutWal().PermitUncheckedError();  // Recover() does it again
}

rocksdb::Status Database::CutWal() const {
  if (fs_->FileExists(cut_path_, {}, nullptr).IsNotFound()) return rocksdb::Status::OK();
  return SyncFile(*fs_, cut_path_, cut_size_);
}

// Recovery that begins and then fails would leave readers without a database, so it begins only when a file
// of some size can be written. Its name is one that RocksDB clears away when it opens.
absl::Status Database::Probe() const {
  rocksdb::Env* env = Env();
  const std::string path = options_.path + "/999999.dbtmp";
  const std::string bytes(kProbeBytes, '\1');
  const rocksdb::Status status = rocksdb::WriteStringToFile(env, bytes, path, /*should_sync=*/true);
  env->DeleteFile(path).PermitUncheckedError();
  return Convert(status);
}

// What was written without sync before the failure lies in log files that RocksDB will not sync any more.
absl::Status Database::SyncWals() const {
  std::vector<std::string> names;
  KS_RETURN_IF_ERROR(Convert(fs_->GetChildren(options_.path, {}, &names, nullptr)));
  for (const std::string& name : names) {
    if (name.ends_with(".log"))
      KS_RETURN_IF_ERROR(Convert(SyncFile(*fs_, options_.path + "/" + name, std::nullopt)));
  }
  return absl::OkStatus();
}

absl::Status Database::Recover() {
  KS_RETURN_IF_ERROR(Probe());
  absl::MutexLock lock(&mutex_);
  CloseRocksDb();
  if (!cut_path_.empty()) KS_RETURN_IF_ERROR(Convert(CutWal()));
  KS_RETURN_IF_ERROR(SyncWals());
  KS_RETURN_IF_ERROR(OpenRocksDb(/*flush=*/false));
  KS_RETURN_IF_ERROR(LoadTrims());
  cut_path_.clear();
  failed_ = false;
  unsynced_ = false;
  return absl::OkStatus();
}

}  // namespace keystead::storage
