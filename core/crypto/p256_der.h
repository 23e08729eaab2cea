// ECDSA signatures between r ‖ s and DER. Internal to core/crypto, without OpenSSL: the form is fixed and
// small.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/crypto/p256.h"

namespace keystead::crypto {

inline constexpr size_t kMaxDerSignatureBytes = 72;  // 2 + 2 * (2 + 33)

struct DerSignature {
  std::array<uint8_t, kMaxDerSignatureBytes> bytes{};
  size_t size = 0;
};

DerSignature SignatureToDer(std::span<const uint8_t, kSignatureBytes> signature);

}  // namespace keystead::crypto
