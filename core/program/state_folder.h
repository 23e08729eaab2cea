// A program's own folder for what must survive a restart: secrets included, so mode 0700, and one process at
// a time unless asked otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/secret_bytes.h"

namespace keystead {

// Thread-compatible. Files are replaced whole or not at all and synced, with mode 0600.
class StateFolder {
 public:
  // Creates the folder where it is missing. FAILED_PRECONDITION when others may read it; PERMISSION_DENIED
  // and the like from the system.
  static absl::StatusOr<StateFolder> Open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string PathOf(std::string_view name) const;
  bool Has(std::string_view name) const;
  absl::Status Write(std::string_view name, const SecretBytes& content) const;
  absl::StatusOr<SecretBytes> Read(std::string_view name) const;  // NOT_FOUND
  absl::Status Remove(std::string_view name) const;               // OK also when there was none

  // The same with a line before the content: format name, version, SHA-256. A file that was torn, edited,
  // exchanged or written by another version is told from a good one before anything of it is believed.
  struct Format {
    std::string_view name;  // without spaces
    uint32_t version = 1;
  };
  absl::Status WriteChecked(std::string_view name, const Format& format, const SecretBytes& content) const;
  // NOT_FOUND; DATA_LOSS: damaged, or another kind of file; FAILED_PRECONDITION: of another version. The
  // message names the file and what is wrong, and leaves it to the caller what to do about it.
  absl::StatusOr<SecretBytes> ReadChecked(std::string_view name, const Format& format) const;

  // Held until destroyed or the process ends. Waits where `wait`, otherwise UNAVAILABLE when another holds
  // it.
  class Lock {
   public:
    Lock() = default;
    Lock(Lock&& other) noexcept;
    Lock& operator=(Lock&& other) noexcept;
    ~Lock();

   private:
    friend class StateFolder;
    explicit Lock(int fd) : fd_(fd) {}
    int fd_ = -1;
  };
  absl::StatusOr<Lock> Acquire(std::string_view name, bool wait) const;

 private:
  explicit StateFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace keystead
