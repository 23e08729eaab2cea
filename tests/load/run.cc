#include "tests/load/run.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "tests/load/backend_counts.h"
#include "tests/load/cores.h"
#include "tests/load/device.h"
#include "tests/load/episode.h"
#include "tests/load/machine.h"
#include "tests/load/neighbour_process.h"
#include "tests/load/sweep.h"
#include "tests/load/verdict.h"

namespace keystead::load {
namespace {

using nlohmann::json;

json MachineToJson(const Cores& cores) {
  const MachineDescription machine = DescribeMachine();
  return {{"cpu", machine.cpu},
          {"cores", machine.cores},
          {"memory_bytes", machine.memory_bytes},
          {"kernel", machine.kernel},
          {"generator_core", cores.generator},
          {"server_core", cores.server}};
}

// The backend's own counts beside ours. It may count who only called the registry, the owners, or not.
json ConnectionsToJson(const BackendCounts& counts, size_t devices, size_t open, size_t owners,
                       size_t subscribers) {
  json out;
  out["devices"] = devices;
  out["open"] = open;
  out["owners"] = owners;
  out["verified"] = counts.answered.ok();
  if (!counts.answered.ok()) {
    out["not_verified_because"] =
        absl::StrCat(absl::StatusCodeToString(counts.answered.code()), ": ", counts.answered.message());
    return out;
  }
  const size_t peers = devices + subscribers;
  out["backend_connections"] = counts.connections;
  out["backend_certificates"] = counts.certificates;
  out["expected"] = peers;  // all devices, and the owners where they subscribe
  out["equal"] = counts.connections == peers &&
                 (counts.certificates == peers || counts.certificates == devices + owners);
  return out;
}

uint64_t FilesFor(const RunOptions& options) {
  constexpr uint64_t kOthers = 512;  // logs, tables, subscribers that do not read
  const Plan& plan = options.plan;
  int devices = plan.tenants * plan.devices;
  int owners = plan.tenants;
  for (const int tenants : options.sweep) {
    devices = std::max(devices, options.sweep_connections);
    owners = std::max(owners, tenants);
  }
  return static_cast<uint64_t>(devices) + 2 * static_cast<uint64_t>(owners) + kOthers;
}

std::vector<TenantName> NamesOf(const std::vector<TenantCredentials>& tenants) {
  std::vector<TenantName> out;
  for (const TenantCredentials& tenant : tenants) out.push_back(tenant.name);
  return out;
}

class Runner {
 public:
  Runner(const RunOptions& options, Progress& progress, TerminationSignal& termination)
      : options_(options), plan_(options.plan), progress_(progress), termination_(termination) {}

  absl::StatusOr<json> Run() {
    KS_RETURN_IF_ERROR(RaiseFileLimit(FilesFor(options_)));  // the server inherits it
    KS_ASSIGN_OR_RETURN(cores_, ChooseCores(options_.self));
    const bool misbehaves = plan_.neighbours > 0 && !options_.behaviours.empty();
    if (!misbehaves) plan_.neighbours = 0;
    if (misbehaves) {  // before there is a second thread
      KS_ASSIGN_OR_RETURN(NeighbourProcess forked, NeighbourProcess::Fork());
      neighbours_ = std::make_unique<NeighbourProcess>(std::move(forked));
    }
    report_["tool"] = "keystead-load";
    report_["format"] = 1;
    report_["started"] = absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone());
    report_["machine"] = MachineToJson(cores_);
    report_["self"] = options_.self;
    report_["mutant"] = ActiveMutantName();
    report_["episodes"] = json::array();
    if (!options_.behaviours.empty()) KS_RETURN_IF_ERROR(Episodes());
    if (!options_.sweep.empty()) {
      KS_ASSIGN_OR_RETURN(report_["sweep"], RunSweep(options_, cores_, progress_, termination_));
    }
    Conclude();
    return report_;
  }

 private:
  absl::Status Episodes() {
    std::unique_ptr<SelfHost> host;
    if (options_.self) {
      progress_.Step(absl::StrCat("making ", plan_.tenants, " tenants with ", plan_.devices,
                                  " devices each, and starting the backend"));
      SelfHostOptions host_options = options_.host;
      host_options.core = cores_.server;
      KS_ASSIGN_OR_RETURN(host, SelfHost::Start(host_options, plan_));
    }
    report_["plan"] = ToJson(plan_);
    report_["plan"]["phase_seconds"] = options_.seconds;
    report_["plan"]["most_records_per_request"] = kMaxRequestRecords;
    progress_.Step(absl::StrCat("founding and connecting at ", plan_.address));
    KS_ASSIGN_OR_RETURN(const auto victims, Population::Create(plan_, 0, plan_.victims()));
    if (neighbours_ != nullptr) KS_RETURN_IF_ERROR(neighbours_->Connect(plan_));
    KS_RETURN_IF_ERROR(CountConnections(*victims));
    CpuMeter meter;
    meter.neighbours = neighbours_ == nullptr ? 0 : neighbours_->pid();
    meter.server = host == nullptr ? 0 : host->pid();
    meter.generator_core = cores_.generator;
    meter.server_core = cores_.server;
    const size_t count = options_.behaviours.size();
    for (size_t i = 0; i < count; ++i) {
      const EpisodeOptions episode{options_.behaviours[i], i, count, options_.seconds};
      KS_ASSIGN_OR_RETURN(json one,
                          RunEpisode(episode, *victims, neighbours_.get(), meter, progress_, termination_));
      progress_.Episode(one);
      report_["episodes"].push_back(std::move(one));
      if (host != nullptr && !host->running())
        return absl::UnavailableError("the backend has ended by itself");
    }
    CountRecords(*victims);
    return absl::OkStatus();
  }

  BackendCounts Ask(Population& victims) const {
    return AskBackend(victims.engine().target(), FindOperator(plan_.credentials, plan_.roots), names_);
  }

  // What all tenants were told is durable, and what the backend says it has stored of them.
  void CountRecords(Population& victims) {
    uint64_t acknowledged = 0;
    for (const json& episode : report_["episodes"]) {
      acknowledged += episode["records"]["acknowledged"].get<uint64_t>();
      if (episode.contains("neighbours"))
        acknowledged += episode["neighbours"]["records"]["acknowledged"].get<uint64_t>();
    }
    report_["records"]["acknowledged"] = acknowledged;
    const BackendCounts counts = Ask(victims);
    report_["records"]["verified"] = counts.answered.ok();
    if (!counts.answered.ok()) return;
    report_["records"]["backend_records_in"] = counts.records_in;
    report_["records"]["backend_refused"] = counts.refused;
  }

  absl::Status CountConnections(Population& victims) {
    KS_ASSIGN_OR_RETURN(const auto tenants,
                        FindTenants(plan_.credentials, plan_.roots, plan_.tenants, plan_.devices));
    const auto devices = static_cast<size_t>(plan_.tenants) * static_cast<size_t>(plan_.devices);
    const size_t open = victims.engine().connected() +
                        static_cast<size_t>(plan_.neighbours) * static_cast<size_t>(plan_.devices);
    names_ = NamesOf(tenants);
    report_["connections"] = ConnectionsToJson(Ask(victims), devices, open, tenants.size(),
                                               plan_.subscribers ? tenants.size() : 0);
    return absl::OkStatus();
  }

  void Conclude() {
    json invalid = json::array();
    json doubts = json::array();
    for (const json& episode : report_["episodes"]) {
      const std::string behaviour = episode["behaviour"].get<std::string>();
      for (const json& why : episode["invalid"]) invalid.push_back(behaviour + ": " + why.get<std::string>());
      for (const json& why : episode["doubts"]) doubts.push_back(behaviour + ": " + why.get<std::string>());
    }
    if (report_.contains("sweep")) {
      for (const json& why : report_["sweep"]["invalid"]) invalid.push_back(why);
    }
    if (options_.self && cores_.generator < 0)
      invalid.push_back("server and generator share a core: this machine, or this process, has only one");
    report_["valid"] = invalid.empty();
    report_["invalid"] = std::move(invalid);
    report_["doubts"] = std::move(doubts);
  }

  const RunOptions& options_;
  Plan plan_;
  Progress& progress_;
  TerminationSignal& termination_;
  Cores cores_;
  std::vector<TenantName> names_;
  std::unique_ptr<NeighbourProcess> neighbours_;
  json report_;
};

}  // namespace

absl::StatusOr<json> Run(const RunOptions& options, Progress& progress, TerminationSignal& termination) {
  return Runner(options, progress, termination).Run();
}

}  // namespace keystead::load
