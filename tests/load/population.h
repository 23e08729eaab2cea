// Some of the tenants of a plan, founded and connected.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/load/credentials.h"
#include "tests/load/engine.h"
#include "tests/load/households.h"
#include "tests/load/plan.h"
#include "tests/load/subscription.h"

namespace keystead::load {

// Thread-compatible.
class Population {
 public:
  // Tenants first, first + 1, … of the plan; tenant numbers of recorders begin at 0. Founds and connects.
  static absl::StatusOr<std::unique_ptr<Population>> Create(const Plan& plan, int first, int count);
  // In two steps, for who measures them.
  static absl::StatusOr<std::unique_ptr<Population>> Found(const Plan& plan, int first, int count);
  absl::Status Connect();
  ~Population();

  const Plan& plan() const { return plan_; }
  const std::vector<TenantCredentials>& tenants() const { return tenants_; }
  const std::vector<std::vector<Household>>& households() const { return households_; }
  Engine& engine() { return *engine_; }
  size_t subscribers() const { return subscriptions_.size(); }

  // What every device of a well-behaved tenant does. INVALID_ARGUMENT for the size of its records.
  absl::StatusOr<DeviceLoad> Ordinary(int64_t begin_ns, int64_t end_ns) const;

  // Further subscriptions of a tenant's owner to its first household, on a connection of their own; let go of
  // with Release.
  absl::Status Subscribe(size_t tenant, SubscriptionKind kind, size_t count, int64_t pause_ns,
                         std::vector<std::unique_ptr<Subscription>>& to);
  void Release(std::vector<std::unique_ptr<Subscription>>& subscriptions);

 private:
  Population(const Plan& plan, Target target, std::vector<TenantCredentials> tenants);
  absl::Status OpenSubscribers();

  const Plan plan_;
  const std::vector<TenantCredentials> tenants_;
  std::vector<std::vector<Household>> households_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
};

}  // namespace keystead::load
