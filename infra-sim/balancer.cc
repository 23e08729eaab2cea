#include "infra-sim/balancer.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/transport/channel_options.h"
#include "core/transport/server.h"
#include "core/transport/tls_credentials.h"
#include "infra-sim/hop.h"
#include "infra-sim/identity_pass.h"
#include "infra-sim/services.h"

namespace keystead::infra {
namespace {

AuthorizationPolicy BalancerPolicy() {
  // Who has nothing but a factory identity, and who carries for it.
  constexpr RoleSet kEnrollees = RoleSet::Of(Role::kFactory, Role::kDevice, Role::kGateway);
  return {{"/keystead.v1.Enrollment/Enroll", kEnrollees},
          {"/keystead.v1.Revocation/Put", RoleSet::Operational()},
          {"/keystead.v1.Revocation/Fetch", RoleSet::Of(Role::kGateway, Role::kAdmin)},
          {"/keystead.v1.Transport/Publish", RoleSet::Operational()},
          {"/keystead.v1.Transport/Subscribe", RoleSet::Operational()},
          {"/keystead.v1.Registry/Submit", RoleSet::Operational()},
          {"/keystead.v1.Registry/Fetch", RoleSet::Operational()},
          {"/keystead.v1.Rendezvous/Put", RoleSet::Operational()},
          {"/keystead.v1.Rendezvous/Await", RoleSet::Operational()},
          {kHealthCheckMethod, RoleSet::Operational()},
          {kHealthWatchMethod, RoleSet::Operational()}};
}

absl::Status Named(const absl::Status& status, std::string_view what) {
  return absl::Status(status.code(), absl::StrCat(Absl(what), ": ", status.message()));
}

absl::StatusOr<std::unique_ptr<const Upstream>> Connect(const UpstreamOptions& options) {
  KS_ASSIGN_OR_RETURN(const auto credentials,
                      MakeChannelCredentials(TlsOptions{.files = options.files}, options.server));
  // Two tenants may dial one address: they must never share a connection, which carries one identity.
  return std::make_unique<const Upstream>(
      DialChannel(options.address, credentials, ChannelOptions{.own_connection = true}));
}

}  // namespace

struct Balancer::State {
  // The services are gone before the upstreams, the server before the services.
  CallGauge calls;
  OffsetShifts offsets;
  Hop hop;
  TransportPass transport{hop};
  RegistryPass registry{hop};
  RendezvousPass rendezvous{hop};
  EnrollmentPass enrollment{hop};
  RevocationPass revocation{hop};
  std::optional<RunningServer> server;
};

absl::StatusOr<std::unique_ptr<Balancer>> Balancer::Start(const BalancerOptions& options,
                                                          AttackEngine* engine, Timer* timer,
                                                          const PrincipalResolver* resolver) {
  const std::string who = absl::StrCat("balancer ", options.name);
  if (options.upstreams.empty()) return Named(absl::InvalidArgumentError("has no upstream"), who);
  auto state = std::make_unique<State>();
  Hop& hop = state->hop;
  hop.listener = options.name;
  hop.engine = engine;
  hop.timer = timer;
  hop.resolver = resolver;
  hop.calls = &state->calls;
  hop.offsets = &state->offsets;
  for (const UpstreamOptions& upstream : options.upstreams) {
    auto connected = Connect(upstream);
    const std::string towards = absl::StrCat(who, ", upstream for ", upstream.tenant.str());
    if (!connected.ok()) return Named(connected.status(), towards);
    if (!hop.upstreams.emplace(upstream.tenant, *std::move(connected)).second) {
      return Named(absl::InvalidArgumentError("the tenant has two upstreams"), towards);
    }
  }
  auto credentials = MakeServerCredentials(TlsOptions{.files = options.files});
  if (!credentials.ok()) return Named(credentials.status(), who);
  ServerOptions server;
  server.listen_address = options.listen_address;
  server.credentials = *credentials;
  // The resolver outlives the server; the options want to share it.
  server.resolver = std::shared_ptr<const PrincipalResolver>(std::shared_ptr<void>(), resolver);
  server.policy = BalancerPolicy();
  server.services = {&state->transport, &state->registry, &state->rendezvous, &state->enrollment,
                     &state->revocation};
  server.max_concurrent_streams = 4096;
  auto running = StartServer(server);
  if (!running.ok()) return Named(running.status(), who);
  state->server.emplace(*std::move(running));
  state->server->SetServing(true);
  return std::unique_ptr<Balancer>(new Balancer(std::move(state)));
}

Balancer::Balancer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Balancer::~Balancer() { Shutdown(absl::ZeroDuration()); }
const std::string& Balancer::name() const { return state_->hop.listener; }
int Balancer::port() const { return state_->server->port(); }
void Balancer::Shutdown(absl::Duration grace) {
  state_->server->Shutdown(grace);
  state_->calls.WaitForNone();
}

}  // namespace keystead::infra
