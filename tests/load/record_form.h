// Records as the backend meets them: COSE_Encrypt0 objects really sealed, once for each size, under a key
// that is thrown away. Each copy then gets a stamp, the time at which it was meant to be sent, in place of
// the first bytes of its ciphertext. The backend sees no difference (it could not open any record); nobody
// can open one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"

namespace keystead::load {

class RecordForm {
 public:
  static constexpr size_t kMinBytes = 64;
  // An object of `bytes`, kMinBytes to limits::kMaxRecordBytes, or of up to two fewer where no object has
  // exactly that length. INVALID_ARGUMENT.
  static absl::StatusOr<RecordForm> Create(size_t bytes);

  size_t bytes() const { return object_.size(); }
  // The object with a stamp; valid until the next call. Not thread-safe. The same stamp gives the same bytes.
  ByteView Stamped(int64_t stamp);

 private:
  RecordForm(std::string object, size_t at) : object_(std::move(object)), at_(at) {}
  std::string object_;
  size_t at_;
};

// The stamp of such an object; none for anything but a COSE_Encrypt0 that is long enough.
std::optional<int64_t> StampOf(ByteView object);

}  // namespace keystead::load
