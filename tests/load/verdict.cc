#include "tests/load/verdict.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/load/statistics.h"

namespace keystead::load {
namespace {

using nlohmann::json;

json OrNull(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json QuantilesOf(const Histogram& histogram) {
  return {{"count", histogram.count()},
          {"p50_us", histogram.Quantile(0.5)},
          {"p90_us", histogram.Quantile(0.9)},
          {"p99_us", histogram.Quantile(0.99)},
          {"p99_9_us", histogram.Quantile(0.999)},
          {"max_us", histogram.max()},
          {"mean_us", histogram.Mean()}};
}

// The distribution in few points: the shares of the records up to rising latencies.
json CurveOf(const Histogram& histogram) {
  constexpr size_t kMostPoints = 160;
  json out = json::array();
  const std::vector<Histogram::Bucket> buckets = histogram.Buckets();
  const auto total = static_cast<double>(histogram.count());
  double below = 0;
  double next = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    below += static_cast<double>(buckets[i].count);
    // Evenly in the share of what is slower, on a logarithmic scale: the tail is what matters.
    const bool last = i + 1 == buckets.size();
    if (!last && below / total < next) continue;
    out.push_back({buckets[i].upper, below / total});
    const double rest = 1 - below / total;
    next = below / total + std::max(rest, 1e-9) * (6.0 / kMostPoints);
  }
  return out;
}

json UseToJson(const CpuUse& use) {
  return {{"generator", use.generator},
          {"server", OrNull(use.server)},
          {"others_on_generator_core", OrNull(use.others_on_generator)},
          {"others_on_server_core", OrNull(use.others_on_server)}};
}

double GoodputOf(const Recorder& recorder, size_t tenant, Phase phase) {
  const double seconds = recorder.timeline().SecondsOf(phase);
  if (!(seconds > 0)) return 0;
  return static_cast<double>(recorder.tenants()[tenant].acknowledged[static_cast<size_t>(phase)]) / seconds;
}

double GoodputOf(const Recorder& recorder, Phase phase) {
  double out = 0;
  for (size_t tenant = 0; tenant < recorder.tenants().size(); ++tenant)
    out += GoodputOf(recorder, tenant, phase);
  return out;
}

// What came through of what was to come: in two phases, and of two tenants, Poisson arrivals offer not the
// same.
double ServedShare(uint64_t acknowledged, uint64_t offered) {
  return offered == 0 ? 1 : static_cast<double>(acknowledged) / static_cast<double>(offered);
}
double ServedShare(const Recorder& recorder, Phase phase) {
  uint64_t acknowledged = 0;
  uint64_t offered = 0;
  for (const TenantRecord& tenant : recorder.tenants()) {
    acknowledged += tenant.acknowledged[static_cast<size_t>(phase)];
    offered += tenant.offered[static_cast<size_t>(phase)];
  }
  return ServedShare(acknowledged, offered);
}

json PhaseToJson(const Recorder& recorder, Phase phase, const CpuUse& use) {
  const PhaseRecord& of = recorder.Of(phase);
  const auto at = static_cast<size_t>(phase);
  std::map<int, uint64_t> ended;
  std::map<int, uint64_t> refused;
  uint64_t offered = 0;
  for (const TenantRecord& tenant : recorder.tenants()) {
    offered += tenant.offered[at];
    for (const auto& [code, count] : tenant.ended[at]) ended[code] += count;
    for (const auto& [code, count] : tenant.refused[at]) refused[code] += count;
  }
  json out = QuantilesOf(of.durable);
  const double seconds = recorder.timeline().SecondsOf(phase);
  out["seconds"] = seconds;
  out["offered_per_second"] = seconds > 0 ? static_cast<double>(offered) / seconds : 0;
  out["goodput_per_second"] = GoodputOf(recorder, phase);
  out["calls_ended"] = CodesToJson(ended);
  out["records_refused"] = CodesToJson(refused);
  out["generator_late"] = QuantilesOf(of.late);
  if (of.delivered.count() > 0) out["delivered"] = QuantilesOf(of.delivered);
  out["cpu"] = UseToJson(use);
  out["curve"] = CurveOf(of.durable);
  return out;
}

json RatiosOf(const Recorder& recorder) {
  const Histogram& alone = recorder.Of(Phase::kAlone).durable;
  const Histogram& with = recorder.Of(Phase::kNeighbour).durable;
  const auto of = [&](double q) {
    return OrNull(Ratio(static_cast<double>(with.Quantile(q)), static_cast<double>(alone.Quantile(q))));
  };
  json out = {{"p50", of(0.5)}, {"p90", of(0.9)}, {"p99", of(0.99)}, {"p99_9", of(0.999)}};
  out["goodput"] =
      OrNull(Ratio(ServedShare(recorder, Phase::kNeighbour), ServedShare(recorder, Phase::kAlone)));
  const Histogram& delivered = recorder.Of(Phase::kNeighbour).delivered;
  out["delivered_p99"] =
      OrNull(Ratio(static_cast<double>(delivered.Quantile(0.99)),
                   static_cast<double>(recorder.Of(Phase::kAlone).delivered.Quantile(0.99))));
  return out;
}

// By code, calls that ended and records that were refused, of a thousand records that were to come.
json ErrorsOf(const Recorder& recorder) {
  json out = json::object();
  for (const auto& [phase, name] :
       {std::pair(Phase::kAlone, "alone"), std::pair(Phase::kNeighbour, "with")}) {
    const auto at = static_cast<size_t>(phase);
    double offered = 0;
    for (const TenantRecord& tenant : recorder.tenants()) offered += static_cast<double>(tenant.offered[at]);
    for (const TenantRecord& tenant : recorder.tenants()) {
      for (const auto* const errors : {&tenant.ended[at], &tenant.refused[at]}) {
        for (const auto& [code, count] : *errors) {
          json& of = out[absl::StatusCodeToString(static_cast<absl::StatusCode>(code))];
          if (of.is_null()) of = json::object();
          of[name] = of.value(name, 0.0) + 1000 * static_cast<double>(count) / std::max(offered, 1.0);
        }
      }
    }
  }
  for (json& of : out) {
    of = {{"alone_per_1000", of.value("alone", 0.0)}, {"with_per_1000", of.value("with", 0.0)}};
    of["ratio"] = OrNull(Ratio(of["with_per_1000"].get<double>(), of["alone_per_1000"].get<double>()));
  }
  return out;
}

json WindowsOf(const Recorder& recorder) {
  json out = json::array();
  const WindowSeries& series = recorder.windows();
  const int64_t zero = recorder.timeline().BeginOf(Phase::kNeighbour);
  const double seconds = static_cast<double>(series.window_ns()) * 1e-9;
  for (size_t i = 0; i < series.size(); ++i) {
    const auto p99 = series.Quantile(i, 0.99);
    const auto p50 = series.Quantile(i, 0.5);
    out.push_back(
        {{"at_seconds", static_cast<double>(series.BeginOf(i) - zero) * 1e-9},
         {"p50_us", p50 ? json(*p50) : json(nullptr)},
         {"p99_us", p99 ? json(*p99) : json(nullptr)},
         {"goodput_per_second", static_cast<double>(recorder.acknowledged_by_window()[i]) / seconds}});
  }
  return out;
}

json TenantsOf(const Recorder& recorder, const std::vector<std::string>& names) {
  json out = json::array();
  for (size_t tenant = 0; tenant < names.size(); ++tenant) {
    out.push_back({{"name", names[tenant]},
                   {"records", ToJson(recorder.tenants()[tenant].all)},
                   {"goodput_alone", GoodputOf(recorder, tenant, Phase::kAlone)},
                   {"goodput_with_neighbour", GoodputOf(recorder, tenant, Phase::kNeighbour)}});
  }
  return out;
}

// What makes the numbers worth nothing, and what makes them doubtful.
void Judge(const PhaseUse& use, json& out) {
  out["invalid"] = json::array();
  out["doubts"] = json::array();
  for (const Phase phase : {Phase::kAlone, Phase::kNeighbour, Phase::kRecovery}) {
    const CpuUse& of = use[static_cast<size_t>(phase)];
    const std::string name(PhaseName(phase));
    char percent[16];
    if (of.generator > kMaxGeneratorShare) {
      std::snprintf(percent, sizeof percent, "%.0f %%", 100 * of.generator);
      out["invalid"].push_back(absl::StrCat("the generator used ", percent, " of its core in phase ", name));
    }
    const double others = std::max(of.others_on_generator.value_or(0), of.others_on_server.value_or(0));
    if (others > kMaxOthersShare) {
      std::snprintf(percent, sizeof percent, "%.0f %%", 100 * others);
      out["doubts"].push_back(
          absl::StrCat("other processes used ", percent, " of a core of ours in phase ", name));
    }
  }
}

std::optional<double> NumberIn(const json& value) {
  return value.is_number() ? std::optional<double>(value.get<double>()) : std::nullopt;
}

}  // namespace

json AimToJson(const std::string& name, const std::string& aim, std::optional<double> measured, bool met) {
  return {{"name", name}, {"aim", aim}, {"measured", OrNull(measured)}, {"met", measured.has_value() && met}};
}

json EpisodeToJson(const Recorder& recorder, const std::vector<std::string>& victims, const PhaseUse& use) {
  json out;
  for (size_t i = 0; i < kPhases; ++i) {
    const auto phase = static_cast<Phase>(i);
    out["phases"][std::string(PhaseName(phase))] = PhaseToJson(recorder, phase, use[i]);
  }
  out["ratios"] = RatiosOf(recorder);
  out["errors"] = ErrorsOf(recorder);
  std::vector<double> shares;
  const auto with = static_cast<size_t>(Phase::kNeighbour);
  for (const TenantRecord& tenant : recorder.tenants())
    shares.push_back(ServedShare(tenant.acknowledged[with], tenant.offered[with]));
  const double jain = JainIndex(shares);
  out["jain"] = jain;
  const Timeline& timeline = recorder.timeline();
  const double bound = kAimTail * static_cast<double>(recorder.Of(Phase::kAlone).durable.Quantile(0.99));
  const auto recovery = RecoverySeconds(recorder.windows(), timeline.BeginOf(Phase::kRecovery), bound);
  out["recovery_seconds"] = OrNull(recovery);
  out["noise"] =
      ShareAbove(recorder.windows(), timeline.BeginOf(Phase::kAlone), timeline.EndOf(Phase::kAlone), bound);
  const auto tail = NumberIn(out["ratios"]["p99"]);
  const auto goodput = NumberIn(out["ratios"]["goodput"]);
  out["aims"] = json::array({AimToJson("p99", "at most 1.5 × alone", tail, tail <= kAimTail),
                             AimToJson("goodput", "at least 0.95 × alone", goodput, goodput >= kAimGoodput),
                             AimToJson("jain", "at least 0.98", jain, jain >= kAimJain),
                             AimToJson("recovery", "at most 2 s", recovery, recovery <= kAimRecovery)});
  out["victims"] = TenantsOf(recorder, victims);
  out["records"] = ToJson(recorder.Total());
  out["windows"] = WindowsOf(recorder);
  Judge(use, out);
  return out;
}

}  // namespace keystead::load
