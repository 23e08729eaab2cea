// The instantiations of a tenant: founded through Registry/Submit by its app, with rosters that name its
// devices.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/transport/group_view.h"
#include "tests/load/credentials.h"
#include "tests/load/engine.h"

namespace keystead::load {

struct Household {
  TenantName tenant;
  InstantiationId id;
  std::vector<GroupHeader> devices;  // without stream: tenant, instantiation, telemetry topic, sender, epoch
};

// One roster names at most this many: the bundle of the commit that admits them stays below its limit.
inline constexpr int kDevicesPerHousehold = 100;

// Founds as many households as there should be, at least as many as are needed, for each tenant on a
// connection of its own; devices are dealt out in order. Real keys, real commits, real acceptances
// (tests/unit/backend/home.h). The first refusal is returned.
absl::StatusOr<std::vector<std::vector<Household>>> FoundHouseholds(
    const Target& target, const std::vector<TenantCredentials>& tenants, int households);

// One commit after the other of an instantiation without devices, each as soon as the one before was
// answered.
class CommitSource {
 public:
  CommitSource(std::shared_ptr<grpc::Channel> channel, const Identity& owner);
  ~CommitSource();
  absl::Status SubmitNext();  // a refused commit is submitted again by the next call

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keystead::load
