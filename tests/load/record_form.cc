#include "tests/load/record_form.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/cose/encrypt0.h"

namespace keystead::load {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kKidBytes = 4;
constexpr uint64_t kPartialIv = 1;  // the backend does not compare it with the sequence beside it

}  // namespace

absl::StatusOr<RecordForm> RecordForm::Create(size_t bytes) {
  if (bytes < kMinBytes || bytes > limits::kMaxRecordBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a record has ", kMinBytes, " to ", limits::kMaxRecordBytes, " bytes, not ", bytes));
  }
  RandomSource& random = RandomSource::System();
  KS_ASSIGN_OR_RETURN(crypto::Aes256Gcm aead, crypto::Aes256Gcm::Create(random.Secret(kKeyBytes)));
  Bytes kid(kKidBytes);
  random.Fill(kid);
  // The frame around the plaintext is not the same for every length, so approach the size from below.
  size_t plaintext = bytes - cose::Encrypt0Size(kKidBytes, kPartialIv, bytes) + bytes;
  while (cose::Encrypt0Size(kKidBytes, kPartialIv, plaintext) < bytes) ++plaintext;
  if (cose::Encrypt0Size(kKidBytes, kPartialIv, plaintext) != bytes) --plaintext;
  std::string object;
  KS_RETURN_IF_ERROR(
      cose::AppendEncrypt0(aead, crypto::AeadNonce(), kid, kPartialIv, {}, Bytes(plaintext), object));
  KS_ASSIGN_OR_RETURN(const cose::Encrypt0View view, cose::ParseEncrypt0(AsBytes(object)));
  const size_t at = object.size() - view.ciphertext.size();
  return RecordForm(std::move(object), at);
}

ByteView RecordForm::Stamped(int64_t stamp) {
  std::memcpy(object_.data() + at_, &stamp, sizeof stamp);
  return AsBytes(object_);
}

std::optional<int64_t> StampOf(ByteView object) {
  const absl::StatusOr<cose::Encrypt0View> view = cose::ParseEncrypt0(object);
  int64_t stamp = 0;
  if (!view.ok() || view->ciphertext.size() < sizeof stamp) return std::nullopt;
  std::memcpy(&stamp, view->ciphertext.data(), sizeof stamp);
  return stamp;
}

}  // namespace keystead::load
