// Key material in memory. STYLE: move-only, wiped on destruction, assignment and growth, equal in constant
// time, and readable only through ExposeSecret(), so that a search finds every use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/bytes.h"

namespace keystead {

// Overwrites memory in a way the compiler may not remove.
void SecureWipe(void* data, size_t size);

// Holds `size()` secret bytes. A moved-from value is empty. Not thread-safe for writing.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(size_t size);           // zero bytes, to be filled through MutableSecret()
  static SecretBytes CopyOf(ByteView secret);  // the caller still owns, and should wipe, the original
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  SecretBytes Clone() const;
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteView ExposeSecret() const { return {data_.get(), size_}; }
  std::span<uint8_t> MutableSecret() { return {data_.get(), size_}; }
  SecretBytes Slice(size_t offset, size_t length) const;  // a copy; aborts when it would reach past the end
  bool ConstantTimeEquals(const SecretBytes& other) const;
  void Wipe();  // afterwards empty

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t size_ = 0;
};

// For public values (tags, thumbprints) whose comparison must not tell where they differ.
bool ConstantTimeEquals(ByteView a, ByteView b);

}  // namespace keystead
