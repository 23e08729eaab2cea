#include "core/crypto/p256_der.h"

#include <algorithm>

namespace keystead::crypto {
namespace {

constexpr uint8_t kSequence = 0x30;
constexpr uint8_t kInteger = 0x02;
constexpr uint8_t kSignBit = 0x80;

void AppendInteger(ByteView scalar, DerSignature& out) {
  size_t skip = 0;
  while (skip + 1 < scalar.size() && scalar[skip] == 0) ++skip;
  const bool pad = (scalar[skip] & kSignBit) != 0;
  const size_t size = scalar.size() - skip;
  out.bytes[out.size++] = kInteger;
  out.bytes[out.size++] = static_cast<uint8_t>(size + (pad ? 1 : 0));
  if (pad) out.bytes[out.size++] = 0;
  std::copy(scalar.begin() + static_cast<ptrdiff_t>(skip), scalar.end(), out.bytes.data() + out.size);
  out.size += size;
}

// Reads one non-negative INTEGER in its shortest form, right-aligned into `out`.
bool ReadInteger(ByteView& der, std::span<uint8_t> out) {
  if (der.size() < 3 || der[0] != kInteger) return false;
  const size_t size = der[1];
  if (size == 0 || size > 33 || der.size() < 2 + size) return false;
  ByteView value = der.subspan(2, size);
  der = der.subspan(2 + size);
  if ((value[0] & kSignBit) != 0) return false;
  if (value[0] == 0 && size > 1) {
    if ((value[1] & kSignBit) == 0) return false;
    value = value.subspan(1);
  }
  if (value.size() > out.size()) return false;
  std::copy_backward(value.begin(), value.end(), out.end());
  return true;
}

}  // namespace

DerSignature SignatureToDer(std::span<const uint8_t, kSignatureBytes> signature) {
  DerSignature out;
  out.bytes[0] = kSequence;
  out.size = 2;
  AppendInteger(signature.first(kP256ScalarBytes), out);
  AppendInteger(signature.subspan(kP256ScalarBytes), out);
  out.bytes[1] = static_cast<uint8_t>(out.size - 2);
  return out;
}

absl::StatusOr<Signature> SignatureFromDer(ByteView der) {
  Signature out{};
  const std::span<uint8_t> to(out);
  if (der.size() >= 2 && der[0] == kSequence && der[1] == der.size() - 2 &&
      der.size() <= kMaxDerSignatureBytes) {
    ByteView rest = der.subspan(2);
    if (ReadInteger(rest, to.first(kP256ScalarBytes)) && ReadInteger(rest, to.subspan(kP256ScalarBytes)) &&
        rest.empty()) {
      return out;
    }
  }
  return absl::InvalidArgumentError("not a DER ECDSA signature for P-256");
}

}  // namespace keystead::crypto
