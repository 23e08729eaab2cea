// A file system for tests: remembers what was synced, forgets the rest on demand, runs out of space, fails,
// and counts. Not part of any program.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/random.h"
#include "rocksdb/file_system.h"

namespace keystead::storage {

// Wraps the machine's own file system. Thread-safe; changes are serialised.
//
// The model of a power failure: of every file the bytes up to its last sync survive, of the bytes after it
// any prefix, whose last part may be zero in a write-ahead log; a file whose directory was not synced since
// it was created is gone; a rename whose directory was not synced since did not happen.
class FaultInjectionFs final : public rocksdb::FileSystemWrapper {
 public:
  FaultInjectionFs();
  const char* Name() const override { return "FaultInjectionFs"; }

  // From the n-th change on (1: the next one) every change fails, as if the machine were dead.
  void PowerOffAfter(uint64_t changes);
  bool powered_off() const;
  // What the disk holds after the power failure. The store must be closed. Power is on again afterwards.
  void DropUnsynced(RandomSource& random);

  void SetFreeBytes(
      std::optional<uint64_t> free);  // then writes fail with "no space", the first after a part
  void FailSyncs(bool fail);          // data reaches the file, but the sync is an I/O error
  uint64_t syncs() const;             // of files

 private:
  class File;
  class Directory;
  struct Tracked {
    uint64_t size = 0;
    uint64_t synced = 0;
    bool linked = false;  // the directory was synced after the file was created
  };
  struct Rename {
    std::string from;
    std::string to;
    std::optional<std::string> replaced;  // content
  };

  // Counts a change down; fails when the power is off.
  rocksdb::IOStatus Change() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  rocksdb::IOStatus Append(const std::string& path, const rocksdb::Slice& data,
                           rocksdb::FSWritableFile& file);
  rocksdb::IOStatus Cut(const std::string& path, uint64_t size, rocksdb::FSWritableFile& file);
  rocksdb::IOStatus Sync(const std::string& path, rocksdb::FSWritableFile& file);
  rocksdb::IOStatus SyncDirectory(const std::string& path, rocksdb::FSDirectory& directory);

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;

  mutable absl::Mutex mutex_;
  std::map<std::string, Tracked> files_ ABSL_GUARDED_BY(mutex_);
  std::vector<Rename> renames_ ABSL_GUARDED_BY(mutex_);  // not durable yet
  std::optional<uint64_t> changes_left_ ABSL_GUARDED_BY(mutex_);
  std::optional<uint64_t> free_bytes_ ABSL_GUARDED_BY(mutex_);
  bool fail_syncs_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t syncs_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keystead::storage
