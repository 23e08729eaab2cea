#include "infra-sim/run.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/program/certificate_metrics.h"
#include "core/transport/server.h"
#include "core/transport/tls_credentials.h"
#include "infra-sim/control_service.h"
#include "infra-sim/observer.h"

namespace keystead::infra {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(2);

// Everything of a running process, in the order in which it is built; destroyed the other way round.
struct Process {
  explicit Process(EngineOptions options) : engine(std::move(options)) {}
  AttackEngine engine;
  TenantDirectory tenants;
  DenyList deny_list;
  PrincipalResolver resolver{&tenants, &deny_list};
  Timer timer;
  std::vector<std::unique_ptr<TcpRelay>> relays;
  std::vector<std::unique_ptr<Balancer>> balancers;
  ControlService control{&engine};
  EquipmentObserver observer{&resolver, &engine};
  std::optional<RunningServer> control_server;
};

absl::Status StartControl(const RunArguments& arguments, Process& process) {
  if (arguments.control_listen.empty()) return absl::OkStatus();
  auto credentials = MakeServerCredentials(TlsOptions{.files = arguments.control_files});
  if (!credentials.ok()) {
    return absl::Status(credentials.status().code(),
                        absl::StrCat("control: ", credentials.status().message()));
  }
  ServerOptions options;
  options.listen_address = arguments.control_listen;
  options.credentials = *credentials;
  options.resolver =
      std::shared_ptr<const PrincipalResolver>(std::shared_ptr<void>(), &process.resolver);  // not owned
  options.policy = ControlPolicy();
  options.services = {&process.control, process.observer.service()};
  auto server = StartServer(options);
  if (!server.ok()) {
    return absl::Status(server.status().code(), absl::StrCat("control: ", server.status().message()));
  }
  process.control_server.emplace(*std::move(server));
  process.control_server->SetServing(true);
  return absl::OkStatus();
}

v1::Listener ListenerOf(const TcpRelayOptions& relay) {
  v1::Listener out;
  out.set_name(relay.name);
  out.add_next_hops(relay.upstream);
  return out;
}

v1::Listener ListenerOf(const BalancerOptions& balancer) {
  v1::Listener out;
  out.set_name(balancer.name);
  out.set_ends_tls(true);
  for (const UpstreamOptions& upstream : balancer.upstreams) {
    const std::string server = upstream.server.str();
    if (std::find(out.next_hops().begin(), out.next_hops().end(), server) == out.next_hops().end())
      out.add_next_hops(server);
  }
  return out;
}

absl::Status StartAll(const RunArguments& arguments, const RunOptions& options, Process& process) {
  if (!arguments.tenants.empty()) KS_RETURN_IF_ERROR(process.tenants.LoadFolder(arguments.tenants));
  for (const TcpRelayOptions& relay : options.relays) {
    KS_ASSIGN_OR_RETURN(auto started, TcpRelay::Start(relay, &process.engine));
    process.relays.push_back(std::move(started));
    process.control.AddListener(ListenerOf(relay));
  }
  for (const BalancerOptions& balancer : options.balancers) {
    KS_ASSIGN_OR_RETURN(auto started,
                        Balancer::Start(balancer, &process.engine, &process.timer, &process.resolver));
    process.balancers.push_back(std::move(started));
    process.control.AddListener(ListenerOf(balancer));
  }
  return StartControl(arguments, process);
}

}  // namespace

absl::Status Run(const RunArguments& arguments, Program& program) {
  KS_ASSIGN_OR_RETURN(const RunOptions options, ParseRunOptions(arguments));
  EngineOptions engine;
  engine.canaries = arguments.canaries;
  engine.memory.latest_bytes = arguments.memory_bytes;
  Process process(std::move(engine));
  KS_RETURN_IF_ERROR(StartAll(arguments, options, process));
  std::vector<CertificateMetrics::Chain> chains = {{"control", arguments.control_files.chain}};
  for (const BalancerOptions& balancer : options.balancers) {
    chains.push_back({"own", balancer.files.chain});
    for (const auto& upstream : balancer.upstreams) chains.push_back({"own", upstream.files.chain});
  }
  const CertificateMetrics certificates(std::move(chains));
  std::map<std::string, int> ports;
  for (const auto& relay : process.relays) ports[relay->name()] = relay->port();
  for (const auto& balancer : process.balancers) ports[balancer->name()] = balancer->port();
  if (process.control_server.has_value()) ports["control"] = process.control_server->port();
  for (const auto& [name, port] : ports)
    Log(LogLevel::kInfo, "listening", {{"listener", name}, {"port", port}});
  KS_RETURN_IF_ERROR(program.AnnouncePorts(ports));
  program.termination().Wait();
  Log(LogLevel::kInfo, "ending");
  if (process.control_server.has_value()) process.control_server->Shutdown(kGrace);
  for (const auto& balancer : process.balancers) balancer->Shutdown(kGrace);
  return absl::OkStatus();
}

}  // namespace keystead::infra
