#include "tests/load/sweep.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "tests/load/cpu_meter.h"
#include "tests/load/machine.h"
#include "tests/load/population.h"
#include "tests/load/statistics.h"
#include "tests/load/verdict.h"

namespace keystead::load {
namespace {

using nlohmann::json;

constexpr double kWarmUpSeconds = 2;
constexpr uint64_t kWindow = 16;  // records under way on each connection
constexpr int64_t kDrainNs = 20'000'000'000;

struct Stand {
  double cpu = 0;
  double memory = 0;
};
Stand StandOf(pid_t server) {
  return {CpuSeconds(server).value_or(0), static_cast<double>(ResidentBytes(server).value_or(0))};
}

json CostOf(const Stand& from, const Stand& to, double units) {
  return {{"cpu_us", (to.cpu - from.cpu) * 1e6 / units}, {"bytes", (to.memory - from.memory) / units}};
}

absl::Status WaitUntil(int64_t time_ns, TerminationSignal& termination) {
  const int64_t left = time_ns - NowNs();
  if (left > 0 && termination.WaitFor(absl::Nanoseconds(left)))
    return absl::CancelledError("stopped before the end; there is no report");
  return absl::OkStatus();
}

// Saturates the server; fills in throughput and what a record costs.
absl::Status Saturate(Population& population, SelfHost& host, const CpuMeter& meter, double seconds,
                      TerminationSignal& termination, json& row) {
  const Timeline timeline = Timeline::Of(NowNs(), {kWarmUpSeconds, seconds, 0, 0});
  Recorder recorder(timeline, population.tenants().size());
  KS_ASSIGN_OR_RETURN(DeviceLoad load, population.Ordinary(timeline.bounds.front(), timeline.end()));
  load.per_second = 0;
  load.window = kWindow;
  const uint64_t stored_before = BytesBelow(host.data_folder());
  population.engine().Begin(&recorder, load);
  absl::Status status = WaitUntil(timeline.BeginOf(Phase::kAlone), termination);
  const CpuSample before = meter.Now();
  if (status.ok()) status = WaitUntil(timeline.EndOf(Phase::kAlone), termination);
  const CpuSample after = meter.Now();
  population.engine().Drain(status.ok() ? NowNs() + kDrainNs : NowNs());
  population.engine().Rest();
  KS_RETURN_IF_ERROR(status);
  uint64_t acknowledged = 0;
  for (const TenantRecord& tenant : recorder.tenants())
    acknowledged += tenant.acknowledged[static_cast<size_t>(Phase::kAlone)];
  const CpuUse use = UseBetween(before, after);
  const auto count = static_cast<double>(std::max<uint64_t>(acknowledged, 1));
  row["records_per_second"] = static_cast<double>(acknowledged) / seconds;
  row["server_cpu_us_per_record"] = use.server.value_or(0) * seconds * 1e6 / count;
  row["generator_cpu_us_per_record"] = use.generator * seconds * 1e6 / count;
  row["stored_bytes_per_record"] = static_cast<double>(BytesBelow(host.data_folder()) - stored_before) /
                                   static_cast<double>(std::max<uint64_t>(recorder.Total().acknowledged, 1));
  row["p99_us"] = recorder.Of(Phase::kAlone).durable.Quantile(0.99);
  row["generator_share"] = use.generator;
  row["server_share"] = use.server.value_or(0);
  row["records"] = ToJson(recorder.Total());
  return absl::OkStatus();
}

absl::StatusOr<json> RunRow(const RunOptions& options, int tenants, const Cores& cores,
                            TerminationSignal& termination) {
  Plan plan = options.plan;
  plan.tenants = tenants;
  plan.devices = options.sweep_connections / tenants;
  plan.neighbours = 0;
  plan.subscribers = false;
  SelfHostOptions host_options = options.host;
  host_options.core = cores.server;
  KS_ASSIGN_OR_RETURN(const auto host, SelfHost::Start(host_options, plan));
  const Stand started = StandOf(host->pid());
  KS_ASSIGN_OR_RETURN(const auto population, Population::Found(plan, 0, tenants));
  const Stand founded = StandOf(host->pid());
  KS_RETURN_IF_ERROR(population->Connect());
  const Stand connected = StandOf(host->pid());
  const double connections = static_cast<double>(tenants) * plan.devices;
  json row = {{"tenants", tenants}, {"connections", connections}};
  row["per_tenant"] = CostOf(started, founded, tenants);
  row["per_connection"] = CostOf(founded, connected, connections);
  CpuMeter meter;
  meter.server = host->pid();
  meter.generator_core = cores.generator;
  meter.server_core = cores.server;
  KS_RETURN_IF_ERROR(Saturate(*population, *host, meter, options.sweep_seconds, termination, row));
  if (!host->running()) return absl::UnavailableError("the backend has ended by itself");
  return row;
}

}  // namespace

absl::StatusOr<json> RunSweep(const RunOptions& options, const Cores& cores, Progress& progress,
                              TerminationSignal& termination) {
  json out;
  out["window"] = kWindow;
  out["record_bytes"] = options.plan.record_bytes;
  out["rows"] = json::array();
  out["invalid"] = json::array();
  for (const int tenants : options.sweep) {
    progress.Step(
        absl::StrCat("sweep: ", options.sweep_connections, " connections of ", tenants, " tenants"));
    KS_ASSIGN_OR_RETURN(json row, RunRow(options, tenants, cores, termination));
    if (row["generator_share"].get<double>() > kMaxGeneratorShare)
      out["invalid"].push_back(
          absl::StrCat("sweep: the generator used more than 85 % of its core at ", tenants, " tenants"));
    out["rows"].push_back(std::move(row));
  }
  const json& rows = out["rows"];
  const double first = rows.front()["records_per_second"].get<double>();
  const auto ratio = Ratio(rows.back()["records_per_second"].get<double>(), first);
  out["throughput_ratio"] = ratio ? json(*ratio) : json(nullptr);
  out["aims"] = json::array({AimToJson(
      "throughput",
      absl::StrCat("at ", options.sweep.back(), " tenants at least 0.9 × that at ", options.sweep.front()),
      ratio, ratio >= kAimThroughput)});
  return out;
}

}  // namespace keystead::load
