// What lies between RocksDB and the disk for the sake of the write-ahead log. RocksDB reserves space for a
// log file ahead, but leaves its length as it is (FALLOC_FL_KEEP_SIZE), so that every sync of an append has
// to make a new length durable: a transaction of the file system, which waits for whatever else is in it.
// Here the length is that of what is reserved, from the start; the bytes not written yet are zero, where
// replay ends (docs/decisions/0038). Since the length of the file then says nothing about how much was
// written, that is counted here.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/file_system.h"

namespace keystead::storage {

// Thread-safe. One for each database that is open.
class WalFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  struct Position {
    uint64_t number = 0;  // of the log file, as in its name; 0: none was made yet
    uint64_t size = 0;    // bytes written to it
  };

  explicit WalFileSystem(std::shared_ptr<rocksdb::FileSystem> disk);
  const char* Name() const override { return "WalFileSystem"; }

  // Behind the last byte of the newest log file. Only while nobody writes does it stay so.
  Position End() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class File;
  struct Written {
    explicit Written(uint64_t n) : number(n) {}
    const uint64_t number;
    std::atomic<uint64_t> size = 0;
  };

  rocksdb::FileOptions OptimizeForLogWrite(const rocksdb::FileOptions& options,
                                           const rocksdb::DBOptions& db) const override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  std::shared_ptr<const Written> newest_ ABSL_GUARDED_BY(mutex_);  // null: none was made yet
};

}  // namespace keystead::storage
