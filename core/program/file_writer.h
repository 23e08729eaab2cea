// A file that is written piece by piece and is there whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keystead {

// Mode 0600, under a temporary name beside `path` until Commit. Not thread-safe. Errors name the file.
class FileWriter {
 public:
  static absl::StatusOr<FileWriter> Create(const std::string& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();  // without Commit nothing of it stays

  absl::Status Append(std::string_view bytes);
  absl::Status Commit();  // synced, renamed, and the name synced: durable when it returns

 private:
  FileWriter(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

}  // namespace keystead
