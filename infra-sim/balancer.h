// A load balancer that terminates TLS: it holds a server identity that the clients of its hop accept, and for
// each tenant a client identity and a channel of its own towards the next hop. Honest until an attack is
// armed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/identity/certificate_files.h"
#include "core/identity/principal.h"
#include "core/identity/spiffe_id.h"
#include "infra-sim/engine.h"
#include "infra-sim/timer.h"

namespace keystead::infra {

struct UpstreamOptions {
  TenantName tenant;       // whose calls go there
  std::string address;     // host:port of the next hop
  CertificateFiles files;  // the balancer's identity in that tenant
  PeerExpectation server;  // who must answer
};

struct BalancerOptions {
  std::string name;                        // in ArmRequest.listener
  std::string listen_address;              // port 0: the system chooses
  CertificateFiles files;                  // what its clients see
  std::vector<UpstreamOptions> upstreams;  // each tenant once
};

// Serves Transport, Registry, Rendezvous and health to any operational role of a tenant with an upstream, and
// Enrollment to whom it is for; others get PERMISSION_DENIED. Thread-safe. `engine`, `timer` and `resolver`
// outlive it.
class Balancer {
 public:
  // UNAVAILABLE when the port is taken; the statuses of ValidateCertificateFiles, naming the listener;
  // INVALID_ARGUMENT for a tenant with two upstreams or none at all.
  static absl::StatusOr<std::unique_ptr<Balancer>> Start(const BalancerOptions& options, AttackEngine* engine,
                                                         Timer* timer, const PrincipalResolver* resolver);
  ~Balancer();
  Balancer(const Balancer&) = delete;
  Balancer& operator=(const Balancer&) = delete;

  const std::string& name() const;
  int port() const;
  void Shutdown(absl::Duration grace);

 private:
  struct State;
  explicit Balancer(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace keystead::infra
