#include "tests/hostile_host/folder_copy.h"

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace keystead::hostile_host {
namespace {

namespace fs = std::filesystem;

absl::Status Failed(std::string_view doing, const std::string& path, const std::error_code& error) {
  return absl::FailedPreconditionError(absl::StrCat(std::string(doing), " ", path, ": ", error.message()));
}

}  // namespace

absl::Status CopyFolder(const std::string& from, const std::string& to) {
  std::error_code error;
  if (fs::exists(to, error))
    return absl::AlreadyExistsError(absl::StrCat(to, " is there: name a new folder"));
  if (!fs::is_directory(from, error)) return absl::NotFoundError(absl::StrCat("there is no folder ", from));
  fs::create_directories(to, error);
  if (error) return Failed("cannot make", to, error);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    if (entry.path().filename() == "LOCK") continue;
    fs::copy_file(entry.path(), fs::path(to) / entry.path().filename(), error);
    if (error && error != std::errc::no_such_file_or_directory)
      return Failed("cannot copy", entry.path().string(), error);
  }
  return absl::OkStatus();
}

absl::Status ReplaceFolder(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::remove_all(to, error);
  if (error) return Failed("cannot remove", to, error);
  return CopyFolder(from, to);
}

}  // namespace keystead::hostile_host
