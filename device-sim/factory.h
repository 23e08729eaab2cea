// What a device is given once, in the factory: its signing key and the setup code of its label. For a
// simulated device the factory is its first start.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "core/base/random.h"
#include "core/crypto/p256.h"
#include "core/membership/label.h"
#include "core/program/state_folder.h"

namespace keystead::device_sim {

// Move-only.
struct FactoryIdentity {
  crypto::EcdsaKeyPair ik;
  SecretBytes setup_code;
  bool fresh = false;  // made now: this is the first power-up
};

// Reads <id>.factory, or, where no <id>.* is, makes and stores it durably. DATA_LOSS: it is damaged, or
// missing beside what the device has become since; FAILED_PRECONDITION: of another version.
absl::StatusOr<FactoryIdentity> LoadOrMakeFactoryIdentity(const StateFolder& folder, const std::string& id,
                                                          RandomSource& random);

membership::Label LabelOf(const FactoryIdentity& factory, const TenantName& tenant, const std::string& id);

}  // namespace keystead::device_sim
