#include "core/storage/fault_injection_fs.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace keystead::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
namespace fs = std::filesystem;

std::string DirectoryOf(const std::string& path) {
  return fs::path(path).parent_path().lexically_normal().string();
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

uint64_t Below(RandomSource& random, uint64_t limit) {
  std::array<uint8_t, 8> bytes{};
  random.Fill(bytes);
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return limit == 0 ? 0 : value % limit;
}

}  // namespace

class FaultInjectionFs::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(FaultInjectionFs& owner, std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner), path_(std::move(path)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions&, IODebugContext*) override {
    return owner_.Append(path_, data, *target());
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions&, const rocksdb::DataVerificationInfo&,
                  IODebugContext*) override {
    return owner_.Append(path_, data, *target());
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return owner_.Sync(path_, *target()); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return owner_.Sync(path_, *target()); }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    return owner_.Cut(path_, size, *target());
  }
  // Starts write-back only: promises nothing.
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  FaultInjectionFs& owner_;
  const std::string path_;
};

class FaultInjectionFs::Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(FaultInjectionFs& owner, std::string path, std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(directory.get()),
        owner_(owner),
        path_(std::move(path)),
        directory_(std::move(directory)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return owner_.SyncDirectory(path_, *directory_);
  }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*, const rocksdb::DirFsyncOptions&) override {
    return owner_.SyncDirectory(path_, *directory_);
  }

 private:
  FaultInjectionFs& owner_;
  const std::string path_;
  const std::unique_ptr<rocksdb::FSDirectory> directory_;
};

FaultInjectionFs::FaultInjectionFs() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

void FaultInjectionFs::PowerOffAfter(uint64_t changes) {
  absl::MutexLock lock(&mutex_);
  changes_left_ = changes - 1;
}

bool FaultInjectionFs::powered_off() const {
  absl::MutexLock lock(&mutex_);
  return changes_left_ == 0;
}

void FaultInjectionFs::SetFreeBytes(std::optional<uint64_t> free) {
  absl::MutexLock lock(&mutex_);
  free_bytes_ = free;
}

void FaultInjectionFs::FailSyncs(bool fail) {
  absl::MutexLock lock(&mutex_);
  fail_syncs_ = fail;
}

uint64_t FaultInjectionFs::syncs() const {
  absl::MutexLock lock(&mutex_);
  return syncs_;
}

void FaultInjectionFs::DropUnsynced(RandomSource& random) {
  absl::MutexLock lock(&mutex_);
  changes_left_.reset();
  for (auto rename = renames_.rbegin(); rename != renames_.rend(); ++rename) {
    std::error_code error;
    if (!fs::exists(rename->to, error)) continue;
    fs::rename(rename->to, rename->from, error);
    files_[rename->from] = files_[rename->to];
    files_.erase(rename->to);
    if (rename->replaced) WriteAll(rename->to, *rename->replaced);
  }
  renames_.clear();
  for (auto& [path, file] : files_) {
    std::error_code error;
    if (!fs::exists(path, error)) continue;
    if (!file.linked) {
      fs::remove(path, error);
      continue;
    }
    if (file.size <= file.synced) continue;
    const uint64_t kept = Below(random, file.size - file.synced + 1);
    std::string bytes = ReadAll(path);
    bytes.resize(file.synced + kept);
    if (path.ends_with(".log") && kept > 0 && Below(random, 2) == 0) {  // allocated but not written
      const uint64_t from = file.synced + Below(random, kept);
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(), '\0');
    }
    WriteAll(path, bytes);
  }
  files_.clear();
}

IOStatus FaultInjectionFs::Change() {
  if (!changes_left_) return IOStatus::OK();
  if (*changes_left_ == 0) return IOStatus::IOError("the power is off");
  --*changes_left_;
  return IOStatus::OK();
}

IOStatus FaultInjectionFs::Append(const std::string& path, const rocksdb::Slice& data,
                                  rocksdb::FSWritableFile& file) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  rocksdb::Slice part = data;
  const bool fits = !free_bytes_ || data.size() <= *free_bytes_;
  if (!fits) part = rocksdb::Slice(data.data(), *free_bytes_);
  if (free_bytes_) *free_bytes_ -= part.size();
  files_[path].size += part.size();
  IOStatus status = file.Append(part, {}, nullptr);
  if (status.ok() && !fits) status = IOStatus::NoSpace("injected");
  return status;
}

IOStatus FaultInjectionFs::Sync(const std::string& path, rocksdb::FSWritableFile& file) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  if (fail_syncs_) return IOStatus::IOError("injected failure of a sync");
  ++syncs_;
  files_[path].synced = files_[path].size;
  return file.Flush({}, nullptr);
}

IOStatus FaultInjectionFs::SyncDirectory(const std::string& path, rocksdb::FSDirectory&) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  for (auto& [name, file] : files_) {
    if (DirectoryOf(name) == path) file.linked = true;
  }
  std::erase_if(renames_, [&](const Rename& rename) { return DirectoryOf(rename.to) == path; });
  return IOStatus::OK();
}

IOStatus FaultInjectionFs::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                                           IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> real;
  IOStatus status = target()->NewWritableFile(path, options, &real, debug);
  if (!status.ok()) return status;
  files_[path] = Tracked{};
  *file = std::make_unique<File>(*this, path, std::move(real));
  return status;
}

IOStatus FaultInjectionFs::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                                              IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> real;
  IOStatus status = target()->ReopenWritableFile(path, options, &real, debug);
  if (!status.ok()) return status;
  // A file this object has not seen is from before the last power failure, and all of it is on disk.
  const auto [it, added] = files_.try_emplace(path);
  if (added) {
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    it->second = Tracked{size, size, true};
  }
  *file = std::make_unique<File>(*this, path, std::move(real));
  return status;
}

IOStatus FaultInjectionFs::NewDirectory(const std::string& path, const IOOptions& options,
                                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                                        IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> real;
  IOStatus status = target()->NewDirectory(path, options, &real, debug);
  if (!status.ok()) return status;
  *directory = std::make_unique<Directory>(*this, DirectoryOf(path + "/x"), std::move(real));
  return status;
}

IOStatus FaultInjectionFs::DeleteFile(const std::string& path, const IOOptions& options,
                                      IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  files_.erase(path);
  return target()->DeleteFile(path, options, debug);
}

IOStatus FaultInjectionFs::RenameFile(const std::string& from, const std::string& to,
                                      const IOOptions& options, IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  Rename rename{from, to, std::nullopt};
  std::error_code error;
  if (fs::exists(to, error)) rename.replaced = ReadAll(to);
  IOStatus status = target()->RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  files_[to] = files_[from];
  files_.erase(from);
  renames_.push_back(std::move(rename));
  return status;
}

IOStatus FaultInjectionFs::Cut(const std::string& path, uint64_t size, rocksdb::FSWritableFile& file) {
  absl::MutexLock lock(&mutex_);
  if (IOStatus status = Change(); !status.ok()) return status;
  Tracked& tracked = files_[path];
  tracked.size = std::min<uint64_t>(tracked.size, size);
  tracked.synced = std::min<uint64_t>(tracked.synced, size);
  return file.Truncate(size, {}, nullptr);
}

}  // namespace keystead::storage
