#include "tests/load/population.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead::load {
namespace {

constexpr int64_t kPauseNs = 20'000'000;
constexpr absl::Duration kGrace = absl::Seconds(10);

}  // namespace

Population::Population(const Plan& plan, Target target, std::vector<TenantCredentials> tenants)
    : plan_(plan), tenants_(std::move(tenants)), engine_(std::make_unique<Engine>(std::move(target))) {}

absl::StatusOr<std::unique_ptr<Population>> Population::Found(const Plan& plan, int first, int count) {
  KS_ASSIGN_OR_RETURN(PeerExpectation server, PeerExpectation::Parse(plan.target_id));
  KS_ASSIGN_OR_RETURN(std::vector<TenantCredentials> found,
                      FindTenants(plan.credentials, plan.roots, first + count, plan.devices));
  found.erase(found.begin(), found.begin() + first);
  std::unique_ptr<Population> out(new Population(plan, {plan.address, std::move(server)}, std::move(found)));
  KS_ASSIGN_OR_RETURN(out->households_,
                      FoundHouseholds(out->engine().target(), out->tenants_, plan.households));
  for (size_t tenant = 0; tenant < out->tenants_.size(); ++tenant) {
    size_t device = 0;
    for (const Household& household : out->households_[tenant]) {
      for (const GroupHeader& header : household.devices)
        KS_RETURN_IF_ERROR(out->engine().Add(tenant, out->tenants_[tenant].devices[device++], header));
    }
  }
  return out;
}

absl::StatusOr<std::unique_ptr<Population>> Population::Create(const Plan& plan, int first, int count) {
  KS_ASSIGN_OR_RETURN(std::unique_ptr<Population> out, Found(plan, first, count));
  KS_RETURN_IF_ERROR(out->Connect());
  return out;
}

absl::Status Population::Connect() {
  KS_RETURN_IF_ERROR(engine_->Connect(absl::Seconds(plan_.patience_seconds)));
  return plan_.subscribers ? OpenSubscribers() : absl::OkStatus();
}

Population::~Population() { Release(subscriptions_); }

absl::StatusOr<DeviceLoad> Population::Ordinary(int64_t begin_ns, int64_t end_ns) const {
  DeviceLoad out;
  out.arrivals = plan_.arrivals;
  out.per_second = plan_.rate;
  out.begin_ns = begin_ns;
  out.end_ns = end_ns;
  out.records_per_arrival = plan_.batch;
  out.seed = plan_.seed;
  KS_ASSIGN_OR_RETURN(RecordForm form, RecordForm::Create(plan_.record_bytes));
  out.form = std::make_shared<RecordForm>(std::move(form));
  return out;
}

absl::Status Population::Subscribe(size_t tenant, SubscriptionKind kind, size_t count, int64_t pause_ns,
                                   std::vector<std::unique_ptr<Subscription>>& to) {
  KS_ASSIGN_OR_RETURN(const auto channel, DialAs(engine_->target(), tenants_[tenant].owner));
  engine_->Locked([&](EngineCore& core) {
    for (size_t i = 0; i < count; ++i) {
      to.push_back(
          std::make_unique<Subscription>(&core, channel, households_[tenant].front(), kind, pause_ns));
      to.back()->Open();
    }
  });
  return absl::OkStatus();
}

void Population::Release(std::vector<std::unique_ptr<Subscription>>& subscriptions) {
  if (subscriptions.empty()) return;
  engine_->Locked([&](EngineCore&) {
    for (const auto& subscription : subscriptions) subscription->Close();
  });
  engine_->AwaitLocked(
      [&] {
        for (const auto& subscription : subscriptions) {
          if (!subscription->idle()) return false;
        }
        return true;
      },
      kGrace);
  // Wakes that are still to come look at them: they go with the engine.
  engine_->Locked([&](EngineCore& core) { core.Bury(std::move(subscriptions)); });
  subscriptions.clear();
}

absl::Status Population::OpenSubscribers() {
  for (size_t tenant = 0; tenant < tenants_.size(); ++tenant)
    KS_RETURN_IF_ERROR(Subscribe(tenant, SubscriptionKind::kReads, 1, kPauseNs, subscriptions_));
  size_t let_in = 0;
  engine_->AwaitLocked(
      [&] {
        let_in = 0;
        for (const auto& subscription : subscriptions_) let_in += subscription->let_in() ? 1 : 0;
        return let_in == subscriptions_.size();
      },
      absl::Seconds(plan_.patience_seconds));
  if (let_in == subscriptions_.size()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(let_in, " of ", subscriptions_.size(), " subscribers were let in"));
}

}  // namespace keystead::load
