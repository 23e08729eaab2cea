#include "core/crypto/hkdf.h"

#include <algorithm>

#include "core/crypto/hash.h"

namespace keystead::crypto {

SecretBytes HkdfExtract(ByteView salt, ByteView ikm) {
  Digest prk = HmacSha256(salt, ikm);  // HMAC pads an empty key to the zero bytes the RFC asks for
  SecretBytes out = SecretBytes::CopyOf(prk.view());
  SecureWipe(&prk, sizeof(prk));
  return out;
}

absl::StatusOr<SecretBytes> HkdfExpand(const SecretBytes& prk, ByteView info, size_t length) {
  if (length > kHkdfMaxBytes) return absl::InvalidArgumentError("HKDF output too long");
  SecretBytes out(length);
  // T(i) = HMAC(prk, T(i-1) ‖ info ‖ i); one buffer holds the HMAC's input.
  SecretBytes input(kHashBytes + info.size() + 1);
  const std::span<uint8_t> buffer = input.MutableSecret();
  std::copy(info.begin(), info.end(), buffer.begin() + kHashBytes);
  size_t done = 0;
  for (uint8_t i = 1; done < length; ++i) {
    buffer.back() = i;
    const ByteView view = i == 1 ? ByteView(buffer).subspan(kHashBytes) : ByteView(buffer);
    Digest t = HmacSha256(prk.ExposeSecret(), view);
    const size_t take = std::min(kHashBytes, length - done);
    std::copy_n(t.view().begin(), take, out.MutableSecret().begin() + static_cast<ptrdiff_t>(done));
    std::copy_n(t.view().begin(), kHashBytes, buffer.begin());
    SecureWipe(&t, sizeof(t));
    done += take;
  }
  return out;
}

}  // namespace keystead::crypto
