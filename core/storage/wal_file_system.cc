#include "core/storage/wal_file_system.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace keystead::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// The number in "…/000123.log"; 0 for any other name.
uint64_t LogNumber(absl::string_view path) {
  absl::string_view name = path.substr(path.rfind('/') + 1);
  uint64_t number = 0;
  return absl::ConsumeSuffix(&name, ".log") && absl::SimpleAtoi(name, &number) ? number : 0;
}

}  // namespace

class WalFileSystem::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(std::unique_ptr<rocksdb::FSWritableFile> file, std::shared_ptr<Written> written)
      : FSWritableFileOwnerWrapper(std::move(file)), written_(std::move(written)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    return Count(data.size(), target()->Append(data, options, debug));
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification, IODebugContext* debug) override {
    return Count(data.size(), target()->Append(data, options, verification, debug));
  }

 private:
  IOStatus Count(size_t bytes, IOStatus status) {
    if (status.ok()) written_->size.fetch_add(bytes, std::memory_order_relaxed);
    return status;
  }
  const std::shared_ptr<Written> written_;
};

WalFileSystem::WalFileSystem(std::shared_ptr<rocksdb::FileSystem> disk)
    : FileSystemWrapper(std::move(disk)) {}

WalFileSystem::Position WalFileSystem::End() const {
  absl::MutexLock lock(&mutex_);
  if (newest_ == nullptr) return {};
  return {newest_->number, newest_->size.load(std::memory_order_relaxed)};
}

rocksdb::FileOptions WalFileSystem::OptimizeForLogWrite(const rocksdb::FileOptions& options,
                                                        const rocksdb::DBOptions& db) const {
  rocksdb::FileOptions optimized = target()->OptimizeForLogWrite(options, db);
  optimized.fallocate_with_keep_size = false;
  return optimized;
}

IOStatus WalFileSystem::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file,
                                        IODebugContext* debug) {
  IOStatus status = target()->NewWritableFile(path, options, file, debug);
  const uint64_t number = LogNumber(path);
  if (!status.ok() || number == 0) return status;
  auto written = std::make_shared<Written>(number);
  *file = std::make_unique<File>(std::move(*file), written);
  absl::MutexLock lock(&mutex_);
  newest_ = std::move(written);
  return status;
}

}  // namespace keystead::storage
