#include "backend/tenant_metrics.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace keystead::backend {
namespace {

constexpr std::string_view kOthers = "(others)";
constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

constexpr Metric kTenants = {"keystead_tenants", "Tenants of this backend.", kGauge};
constexpr Metric kAddedUp = {"keystead_tenants_added_up",
                             "Tenants without series of their own: they are in \"(others)\".", kGauge};
constexpr Metric kRefused = {"keystead_tenant_refused_total",
                             "What a tenant was refused, by the name of the limit.",
                             kCounter,
                             {"tenant", "limit"}};

constexpr std::array<Metric, 7> kCounterMetrics = {{
    {"keystead_tenant_records_total",
     "Records that a tenant brought within its limits.",
     kCounter,
     {"tenant"}},
    {"keystead_tenant_received_bytes_total", "Bytes of them.", kCounter, {"tenant"}},
    {"keystead_tenant_sent_groups_total", "Groups of records sent to its subscribers.", kCounter, {"tenant"}},
    {"keystead_tenant_sent_bytes_total", "Bytes of them.", kCounter, {"tenant"}},
    {"keystead_tenant_commits_total", "Changes of membership that were accepted.", kCounter, {"tenant"}},
    {"keystead_tenant_queue_wait_seconds_total",
     "Time that what it brought spent in the fair queue, added up.",
     kCounter,
     {"tenant"}},
    {"keystead_tenant_queue_tasks_total", "Tasks that passed the fair queue.", kCounter, {"tenant"}},
}};

struct Gauge {
  Metric metric;
  double (*of)(const TenantNumbers&);
};
constexpr std::array<Gauge, 6> kGauges = {{
    {{"keystead_tenant_queue_bytes", "Bytes that wait in the fair queue.", kGauge, {"tenant"}},
     [](const TenantNumbers& t) { return static_cast<double>(t.queue.waiting_bytes); }},
    {{"keystead_tenant_stored_bytes", "Bytes of groups that it has stored.", kGauge, {"tenant"}},
     [](const TenantNumbers& t) { return static_cast<double>(t.usage.stored.bytes); }},
    {{"keystead_tenant_stored_groups", "Groups of them.", kGauge, {"tenant"}},
     [](const TenantNumbers& t) { return static_cast<double>(t.usage.stored.groups); }},
    {{"keystead_tenant_open_calls", "Calls of the data path that it has open.", kGauge, {"tenant"}},
     [](const TenantNumbers& t) { return static_cast<double>(t.usage.streams); }},
    {{"keystead_tenant_connected_peers", "Peers with such calls.", kGauge, {"tenant"}},
     [](const TenantNumbers& t) { return static_cast<double>(t.usage.connections); }},
    {{"keystead_tenant_subscribed_topics", "Topics of its open subscriptions.", kGauge, {"tenant"}},
     [](const TenantNumbers& t) { return static_cast<double>(t.usage.subscriptions); }},
}};

}  // namespace

TenantMetrics::TenantMetrics(size_t places, EachTenant each)
    : places_(places), each_(std::move(each)), source_([this](MetricWriter& out) { Collect(out); }) {}

TenantMetrics::Sums TenantMetrics::SumsOf(const TenantNumbers& tenant) {
  static_assert(kCounterMetrics.size() == kCounters);
  const TenantUsage& usage = tenant.usage;
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  Sums out;
  out.counters = {number(usage.records_in),   number(usage.bytes_in),
                  number(usage.groups_out),   number(usage.bytes_out),
                  number(usage.commits),      absl::ToDoubleSeconds(tenant.queue.waited),
                  number(tenant.queue.passed)};
  for (const auto& [limit, times] : usage.refused) out.refused[limit] = number(times);
  return out;
}

// What was admitted and then refused by somebody else is given back: for a moment there is one less.
void TenantMetrics::Sums::Raise(const Sums& to) {
  for (size_t i = 0; i < kCounters; ++i) counters[i] = std::max(counters[i], to.counters[i]);
  for (const auto& [limit, times] : to.refused) refused[limit] = std::max(refused[limit], times);
}

void TenantMetrics::Sums::Add(const Sums& other) {
  for (size_t i = 0; i < kCounters; ++i) counters[i] += other.counters[i];
  for (const auto& [limit, times] : other.refused) refused[limit] += times;
}

bool TenantMetrics::Sums::empty() const {
  return refused.empty() && std::ranges::all_of(counters, [](double n) { return n == 0; });
}

void TenantMetrics::WriteSums(const Sums& sums, std::string_view name, MetricWriter& out) {
  for (size_t i = 0; i < kCounters; ++i) out.Value(kCounterMetrics[i], sums.counters[i], {name});
  for (const auto& [limit, times] : sums.refused) out.Value(kRefused, times, {name, limit});
}

void TenantMetrics::Collect(MetricWriter& out) {
  std::vector<TenantNumbers> all;
  each_([&](const TenantNumbers& tenant) { all.push_back(tenant); });
  const bool all_fit = all.size() <= places_;
  uint64_t added_up = 0;
  out.Declare(kRefused);
  for (const TenantNumbers& tenant : all) {
    Known& known = known_[tenant.number];
    const Sums sums = SumsOf(tenant);
    // Once something of a tenant stands in the sum of the others it stays there.
    if (!known.has_place && taken_ < places_ && known.served.empty() && (all_fit || !sums.empty())) {
      known.has_place = true;
      ++taken_;
    }
    known.seen = true;
    known.served.Raise(sums);
    added_up += known.has_place ? 0 : 1;
    const std::string_view name = known.has_place ? std::string_view(tenant.name) : kOthers;
    for (const Gauge& gauge : kGauges) out.Value(gauge.metric, gauge.of(tenant), {name});
    WriteSums(known.served, name, out);
  }
  DropGone();
  if (added_up > 0 || !gone_.empty()) WriteSums(gone_, kOthers, out);
  out.Value(kTenants, all.size());
  out.Value(kAddedUp, added_up);
}

void TenantMetrics::DropGone() {
  for (auto at = known_.begin(); at != known_.end();) {
    Known& known = at->second;
    if (std::exchange(known.seen, false)) {
      ++at;
      continue;
    }
    if (known.has_place) {
      --taken_;
    } else {
      gone_.Add(known.served);
    }
    at = known_.erase(at);
  }
}

}  // namespace keystead::backend
