#include "core/base/secret_bytes.h"

#include <string.h>

#include <cstdlib>
#include <utility>

namespace keystead {

// glibc's explicit_bzero: only core/crypto and core/identity see OpenSSL's headers.
void SecureWipe(void* data, size_t size) {
  if (size != 0) explicit_bzero(data, size);
}

SecretBytes::SecretBytes(size_t size) : data_(new uint8_t[size]()), size_(size) {}

SecretBytes SecretBytes::CopyOf(ByteView secret) {
  SecretBytes out(secret.size());
  if (!secret.empty()) memcpy(out.data_.get(), secret.data(), secret.size());
  return out;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    Wipe();
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() { Wipe(); }

SecretBytes SecretBytes::Clone() const { return CopyOf(ExposeSecret()); }

SecretBytes SecretBytes::Slice(size_t offset, size_t length) const {
  if (offset > size_ || length > size_ - offset)
    std::abort();  // also in release builds: never read past a key
  return CopyOf(ExposeSecret().subspan(offset, length));
}

void SecretBytes::Wipe() {
  if (data_ != nullptr) SecureWipe(data_.get(), size_);
  data_.reset();
  size_ = 0;
}

bool SecretBytes::ConstantTimeEquals(const SecretBytes& other) const {
  return keystead::ConstantTimeEquals(ExposeSecret(), other.ExposeSecret());
}

bool ConstantTimeEquals(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = difference | static_cast<uint8_t>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace keystead
