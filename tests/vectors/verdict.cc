#include "tests/vectors/verdict.h"

namespace keystead::vectors {

std::string_view UnsupportedName(Unsupported reason) {
  switch (reason) {
    case Unsupported::kOtherKem:
      return "HPKE KEM other than P-256 with HKDF-SHA256";
    case Unsupported::kOtherAead:
      return "AEAD other than AES-GCM and ChaCha20-Poly1305";
    case Unsupported::kAuthMode:
      return "HPKE mode auth or auth_psk";
    case Unsupported::kOtherCurve:
      return "curve other than P-256";
    case Unsupported::kGcmIvSize:
      return "nonce other than 96 bits";
    case Unsupported::kCoseMac:
      return "COSE MAC";
    case Unsupported::kCoseMultiSigner:
      return "COSE_Sign (multi-signer)";
    case Unsupported::kCoseRecipient:
      return "COSE key management other than one direct key or HPKE";
    case Unsupported::kCoseCountersignature:
      return "COSE countersignature (a further signer)";
    case Unsupported::kCoseSignature:
      return "COSE signature algorithm other than ECDSA";
  }
  return "";
}

void Report::Add(const std::string& name, const Outcome& outcome) {
  if (!outcome.ok()) {
    ++failed;
    failures.push_back(name + ": " + std::string(outcome.status().message()));
  } else if (outcome->has_value()) {
    ++unsupported[**outcome];
  } else {
    ++passed;
  }
}

size_t Report::unsupported_count() const {
  size_t sum = 0;
  for (const auto& [reason, count] : unsupported) sum += count;
  return sum;
}

}  // namespace keystead::vectors
