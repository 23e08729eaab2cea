// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104). Free functions are thread-safe; each thread keeps one
// context. Hashing memory cannot fail for a reason a caller could act on: an OpenSSL failure ends the
// process.
#pragma once

#include <initializer_list>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace keystead::crypto {

Digest Sha256(ByteView data);
Digest Sha256(std::initializer_list<ByteView> parts);  // of the concatenation; lengths are not framed

// Incremental SHA-256. Move-only, not thread-safe. A moved-from hasher may only be destroyed or assigned to.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
  ~Sha256Hasher();
  void Update(ByteView data);
  Digest Finish();  // and starts anew

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Digest HmacSha256(ByteView key, ByteView data);  // compare results with ConstantTimeEquals

}  // namespace keystead::crypto
