// A household for tests: an owner with real keys, who makes real commits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/membership/chain.h"

namespace keystead::testing {

// Somebody who can be added to a home. Devices may have lived in another one before.
struct Resident {
  RosterEntry entry;
  crypto::EcdsaKeyPair ik;  // empty: a courier
  uint64_t reset_counter = 0;
};

Resident MakeResident(MemberKind kind, const std::string& transport);
// The same device after a reset, for another home.
Resident AfterReset(const Resident& device);
// What a device may do by default.
std::vector<Right> DeviceRights(const MemberId& device);

class Home {
 public:
  Home(std::string_view tenant, const std::string& owner_transport);
  ~Home();

  const TenantName& tenant() const;
  const InstantiationId& id() const;
  const MemberId& owner() const;
  const MembershipChain& chain() const;

  // The next commit; nothing changes here until Take. Different bytes at every call.
  std::string Make(const std::vector<const Resident*>& add = {}, const std::vector<MemberId>& remove = {});
  void Take(const std::string& bundle);
  Bytes AcceptanceOf(const Resident& resident);  // the same bytes each time

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::testing
