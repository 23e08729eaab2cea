// A label whose every field is fixed, shared by the tests of this folder.
#pragma once

#include "core/membership/label.h"

namespace keystead::membership {

inline Label ExampleLabel(uint8_t first = 0) {
  Label label;
  label.tenant = *TenantName::Parse("acme.keystead.example");
  label.device_id = "bulb-0001";
  std::array<uint8_t, 32> ckt{};
  SecretBytes code(kSetupCodeBytes);
  for (size_t i = 0; i < 32; ++i) {
    ckt[i] = static_cast<uint8_t>(0xA0 + i);
    code.MutableSecret()[i] = static_cast<uint8_t>(first + 7 * i);
  }
  label.ckt = Digest(ckt);
  label.setup_code = std::move(code);
  return label;
}

inline std::string TextOf(const SecretBytes& secret) { return ToString(secret.ExposeSecret()); }

inline bool SameLabel(const Label& a, const Label& b) {
  return a.tenant == b.tenant && a.device_id == b.device_id && a.ckt == b.ckt &&
         a.setup_code.ConstantTimeEquals(b.setup_code);
}

}  // namespace keystead::membership
