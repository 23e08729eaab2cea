#include "tests/load/behaviour.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "tests/load/machine.h"
#include "tests/load/storms.h"

namespace keystead::load {
namespace {

struct Entry {
  Behaviour behaviour;
  std::string_view name;
  std::string_view sentence;
};
constexpr std::array<Entry, 10> kEntries = {{
    {Behaviour::kNone, "none", "nobody misbehaves"},
    {Behaviour::kRate10, "rate10", "ten times the ordinary rate"},
    {Behaviour::kRate100, "rate100", "a hundred times the ordinary rate"},
    {Behaviour::kHuge, "huge", "records of the largest size"},
    {Behaviour::kTiny, "tiny", "many tiny records, each in a group of its own"},
    {Behaviour::kSlowReaders, "slow-readers", "subscribers that do not read"},
    {Behaviour::kBacklog, "backlog", "a minute's backlog at once"},
    {Behaviour::kHandshakeStorm, "handshake-storm", "new connections all the time"},
    {Behaviour::kSubscriptionChurn, "subscription-churn", "subscriptions that come and go"},
    {Behaviour::kCommitStorm, "commit-storm", "membership commits as fast as they are taken"},
}};
constexpr std::array<Behaviour, kEntries.size()> kAll = [] {
  std::array<Behaviour, kEntries.size()> out{};
  for (size_t i = 0; i < out.size(); ++i) out[i] = kEntries[i].behaviour;
  return out;
}();
constexpr int kTinyPerArrival = 64;
constexpr int64_t kUnderWayNs = 2'000'000'000;  // what was sent may still be answered so long

const Entry& Of(Behaviour behaviour) { return kEntries[static_cast<size_t>(behaviour)]; }

absl::Status SetForm(DeviceLoad& load, size_t bytes) {
  KS_ASSIGN_OR_RETURN(RecordForm form, RecordForm::Create(bytes));
  load.form = std::make_shared<RecordForm>(std::move(form));
  return absl::OkStatus();
}

// What each device does, so that all together stay within the limits.
absl::StatusOr<DeviceLoad> LoadOf(const Population& population, size_t devices, Behaviour behaviour,
                                  const Timeline& timeline, const NeighbourLimits& limits) {
  KS_ASSIGN_OR_RETURN(DeviceLoad load, population.Ordinary(timeline.BeginOf(Phase::kNeighbour),
                                                           timeline.EndOf(Phase::kNeighbour)));
  load.obeys = population.plan().neighbour_obeys;
  load.seed += 1000;
  const auto count = static_cast<double>(devices);
  double most = limits.records_per_second / count;
  if (behaviour == Behaviour::kRate10) load.per_second *= 10;
  if (behaviour == Behaviour::kRate100) load.per_second *= 100;
  if (behaviour == Behaviour::kHuge) {
    KS_RETURN_IF_ERROR(SetForm(load, limits::kMaxRecordBytes));
    most = limits.huge_per_second / count;
  }
  if (behaviour == Behaviour::kTiny) {
    KS_RETURN_IF_ERROR(SetForm(load, RecordForm::kMinBytes));
    load.records_per_group = 1;
    load.records_per_arrival = kTinyPerArrival;
  }
  load.per_second =
      std::min({load.per_second, most / load.records_per_arrival, limits.arrivals_per_second / count});
  if (behaviour == Behaviour::kBacklog) {
    const double waiting = load.per_second * load.records_per_arrival * limits.backlog_seconds;
    load.backlog = std::min(static_cast<uint64_t>(waiting), limits.backlog_records / devices);
  }
  return load;
}

absl::Status OpenSubscriptions(Population& population, Behaviour behaviour, const NeighbourLimits& limits,
                               std::vector<std::unique_ptr<Subscription>>& to) {
  for (size_t tenant = 0; tenant < population.tenants().size(); ++tenant) {
    if (behaviour == Behaviour::kSubscriptionChurn)
      KS_RETURN_IF_ERROR(population.Subscribe(tenant, SubscriptionKind::kChurns, limits.churners,
                                              limits.churn_pause_ns, to));
    for (size_t i = 0; behaviour == Behaviour::kSlowReaders && i < limits.unread_connections; ++i)
      KS_RETURN_IF_ERROR(population.Subscribe(tenant, SubscriptionKind::kNeverReads,
                                              limits.unread_subscriptions, limits.churn_pause_ns, to));
  }
  return absl::OkStatus();
}

void CountSubscriptions(Population& population, std::vector<std::unique_ptr<Subscription>>& subscriptions,
                        BehaviourOutcome& outcome) {
  population.engine().Locked([&](EngineCore&) {
    for (const auto& subscription : subscriptions) {
      outcome.attempts += subscription->opened();
      outcome.answered[0] += subscription->times_let_in();
      for (const auto& [code, count] : subscription->refused()) outcome.answered[code] += count;
    }
  });
}

}  // namespace

std::span<const Behaviour> AllBehaviours() { return kAll; }
std::string_view BehaviourName(Behaviour behaviour) { return Of(behaviour).name; }
std::string_view BehaviourSentence(Behaviour behaviour) { return Of(behaviour).sentence; }
std::optional<Behaviour> BehaviourFromName(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.behaviour;
  }
  return std::nullopt;
}

absl::StatusOr<BehaviourOutcome> Behave(Population& population, Behaviour behaviour, const Timeline& timeline,
                                        const NeighbourLimits& limits) {
  BehaviourOutcome outcome;
  const int64_t begin = timeline.BeginOf(Phase::kNeighbour);
  const int64_t end = timeline.EndOf(Phase::kNeighbour);
  if (behaviour == Behaviour::kNone) {
    SleepUntilNs(end);
    return outcome;
  }
  Recorder recorder(timeline, population.tenants().size());
  KS_ASSIGN_OR_RETURN(const DeviceLoad load,
                      LoadOf(population, population.engine().devices(), behaviour, timeline, limits));
  SleepUntilNs(begin);
  population.engine().Begin(&recorder, load);
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  absl::Status status = OpenSubscriptions(population, behaviour, limits, subscriptions);
  if (status.ok() && behaviour == Behaviour::kHandshakeStorm)
    status = StormHandshakes(population, limits, end, outcome);
  if (status.ok() && behaviour == Behaviour::kCommitStorm)
    status = StormCommits(population, limits.commits_per_second, end, outcome);
  SleepUntilNs(end);
  population.engine().Hush();
  population.engine().Drain(end + kUnderWayNs);
  CountSubscriptions(population, subscriptions, outcome);
  population.Release(subscriptions);
  population.engine().Rest();
  outcome.records = recorder.Total();
  for (const TenantRecord& tenant : recorder.tenants()) {
    for (const auto& phase : tenant.ended) {
      for (const auto& [code, count] : phase) outcome.ended[code] += count;
    }
  }
  KS_RETURN_IF_ERROR(status);
  return outcome;
}

nlohmann::json ToJson(const BehaviourOutcome& outcome) {
  nlohmann::json out;
  out["records"] = ToJson(outcome.records);
  out["calls_ended"] = CodesToJson(outcome.ended);
  out["attempts"] = outcome.attempts;
  out["answered"] = CodesToJson(outcome.answered);
  return out;
}

}  // namespace keystead::load
