#include "tests/load/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "core/base/status.h"

namespace keystead::load {
namespace {

constexpr std::array<double, kPhases> kQuickSeconds = {0.5, 1.5, 1.5, 1.5};
constexpr int kQuickConnections = 100;
constexpr double kQuickSweepSeconds = 1;
constexpr int kMostConnections = 20'000;

std::string BehaviourNames() {
  std::vector<std::string> names;
  for (const Behaviour behaviour : AllBehaviours()) names.emplace_back(BehaviourName(behaviour));
  return absl::StrJoin(names, ", ");
}

// Beside this program.
std::string DefaultBackend() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string("keystead-backend") : (self.parent_path() / "keystead-backend").string();
}

void AddTarget(CLI::App& app, CommandLine& line) {
  RunOptions& run = line.run;
  CLI::Option* const self =
      app.add_flag("--self", run.self, "Start a keystead-backend here and measure that");
  CLI::Option* const target =
      app.add_option("--target", run.plan.address, "Measure a server that is there: host:port")
          ->excludes(self);
  app.add_option("--target-id", run.plan.target_id, "Its SPIFFE id")->needs(target);
  app.add_option("--roots", run.plan.roots, "The CA it is verified with (PEM)")->needs(target);
  app.add_option("--credentials", run.plan.credentials,
                 "Certificates of tenants, in the layout of certs/README.md")
      ->needs(target);
  app.add_option("--backend", run.host.backend, "With --self: the program (default: beside this one)")
      ->needs(self);
  app.add_option("--backend-option", run.host.more_options,
                 "With --self: a further option for it, as one word: --backend-option=--threads=4")
      ->needs(self)
      ->allow_extra_args(false);
  app.add_option("--folder", run.host.folder,
                 "With --self: where its data go (default: the temporary folder)")
      ->needs(self);
}

void AddLoad(CLI::App& app, CommandLine& line) {
  Plan& plan = line.run.plan;
  app.add_option("--tenants", plan.tenants, "Tenants")->check(CLI::Range(1, 2000))->capture_default_str();
  app.add_option("--devices", plan.devices, "Devices of each, with a connection each")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--instantiations", plan.households, "Instantiations of each tenant, at least")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--neighbours", plan.neighbours, "How many of the tenants misbehave: the last ones")
      ->check(CLI::Range(1, 1999))
      ->capture_default_str();
  app.add_option("--rate", plan.rate, "Arrivals per second of each device")
      ->check(CLI::Range(0.01, 10'000.0))
      ->capture_default_str();
  app.add_option("--arrivals", line.arrivals, "poisson or constant")
      ->check(CLI::IsMember({"poisson", "constant"}))
      ->capture_default_str();
  app.add_option("--batch", plan.batch, "Records of each arrival")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--record-bytes", plan.record_bytes, "Bytes of a sealed record")
      ->check(CLI::Range(RecordForm::kMinBytes, limits::kMaxRecordBytes))
      ->capture_default_str();
  app.add_flag("--subscribers", plan.subscribers, "One subscriber for each well-behaved tenant, too");
  app.add_option("--seed", plan.seed, "Of the arrivals")->capture_default_str();
  app.add_option("--patience", plan.patience_seconds, "Seconds until all devices must be connected")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
}

void AddRun(CLI::App& app, CommandLine& line) {
  app.add_option("--neighbour,--behaviour", line.behaviours,
                 absl::StrCat("How the neighbour misbehaves: ", BehaviourNames(),
                              "; or all. Several, with commas, one after the other. Default: none"))
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_flag("--neighbour-obeys", line.run.plan.neighbour_obeys,
               "The neighbour waits as long as a refusal asks it to");
  app.add_flag("--quick", line.quick, "Short phases: to see that it works, not to measure");
  static constexpr std::array<const char*, kPhases> kNames = {"--warm-up-seconds", "--alone-seconds",
                                                              "--neighbour-seconds", "--recovery-seconds"};
  for (size_t i = 0; i < kPhases; ++i) {
    app.add_option(kNames[i], line.run.seconds[i], "Length of that phase")
        ->check(CLI::Range(0.25, 3600.0))
        ->capture_default_str();
  }
  app.add_option(
         "--sweep-tenants", line.sweep,
         "With --self: spread the same connections over so many tenants, one number after the other, as in "
         "1,10,100,1000, and measure what each costs. Without --behaviour nothing else is measured")
      ->delimiter(',')
      ->check(CLI::Range(1, 10'000))
      ->allow_extra_args(false);
  app.add_option("--sweep-connections", line.run.sweep_connections, "Connections in that sweep")
      ->check(CLI::Range(1, kMostConnections))
      ->capture_default_str();
  app.add_option("--json", line.json_file, "Write the report there");
  app.add_option("--html", line.html_file, "Write the report there as one page");
}

absl::Status SettleTarget(RunOptions& run) {
  if (run.self) {
    if (run.host.backend.empty()) run.host.backend = DefaultBackend();
    return absl::OkStatus();
  }
  if (run.plan.address.empty())
    return absl::InvalidArgumentError("give --self, or --target with --target-id, --roots and --credentials");
  if (run.plan.target_id.empty() || run.plan.roots.empty() || run.plan.credentials.empty())
    return absl::InvalidArgumentError("--target needs --target-id, --roots and --credentials");
  return PeerExpectation::Parse(run.plan.target_id).status();
}

absl::Status SettleBehaviours(CommandLine& line) {
  if (line.behaviours.empty() && line.sweep.empty()) line.behaviours = {"none"};
  for (const std::string& name : line.behaviours) {
    if (name == "all") {
      line.run.behaviours.assign(AllBehaviours().begin(), AllBehaviours().end());
      continue;
    }
    const auto behaviour = BehaviourFromName(name);
    if (!behaviour) {
      return absl::InvalidArgumentError(absl::StrCat("--neighbour: no behaviour is called ", name,
                                                     "; there are ", BehaviourNames(), " and all"));
    }
    line.run.behaviours.push_back(*behaviour);
  }
  return absl::OkStatus();
}

absl::Status SettleSweep(CommandLine& line) {
  if (line.sweep.empty()) return absl::OkStatus();
  if (!line.run.self) return absl::InvalidArgumentError("--sweep-tenants needs --self");
  for (const int tenants : line.sweep) {
    if (tenants > line.run.sweep_connections || line.run.sweep_connections % tenants != 0) {
      return absl::InvalidArgumentError(absl::StrCat("--sweep-tenants: ", line.run.sweep_connections,
                                                     " connections cannot be spread evenly over ", tenants,
                                                     " tenants; see --sweep-connections"));
    }
  }
  line.run.sweep = line.sweep;
  return absl::OkStatus();
}

}  // namespace

void AddOptions(CLI::App& app, CommandLine& line) {
  AddTarget(app, line);
  AddLoad(app, line);
  AddRun(app, line);
}

absl::Status Settle(CommandLine& line) {
  RunOptions& run = line.run;
  KS_RETURN_IF_ERROR(SettleTarget(run));
  KS_RETURN_IF_ERROR(SettleBehaviours(line));
  run.plan.arrivals = *ArrivalKindFromName(line.arrivals);
  if (line.quick) {
    run.seconds = kQuickSeconds;
    run.sweep_connections = std::min(run.sweep_connections, kQuickConnections);
    run.sweep_seconds = kQuickSweepSeconds;
  }
  KS_RETURN_IF_ERROR(SettleSweep(line));
  if (int64_t{run.plan.tenants} * run.plan.devices > kMostConnections) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tenants times --devices: more than ", kMostConnections, " connections"));
  }
  const bool quiet = std::all_of(run.behaviours.begin(), run.behaviours.end(),
                                 [](Behaviour behaviour) { return behaviour == Behaviour::kNone; });
  if (quiet) run.plan.neighbours = 0;
  if (run.plan.neighbours >= run.plan.tenants)
    return absl::InvalidArgumentError(
        "--neighbours: at least one tenant must behave well, so that there is a victim");
  return absl::OkStatus();
}

}  // namespace keystead::load
