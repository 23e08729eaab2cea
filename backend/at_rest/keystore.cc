#include "backend/at_rest/keystore.h"

namespace keystead::backend::at_rest {

Bytes DerivationInput(ByteView info) {
  Bytes out{0, 0, 0, 1};
  out.insert(out.end(), info.begin(), info.end());
  constexpr uint32_t kBits = kDerivedKeyBytes * 8;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(kBits >> shift));
  return out;
}

}  // namespace keystead::backend::at_rest
