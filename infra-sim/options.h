// What the program is told: by flags, configuration file or environment. Parsed here, checked before anything
// is started.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "infra-sim/balancer.h"
#include "infra-sim/tcp_relay.h"

namespace keystead::infra {

// As text, from CLI11.
struct RunArguments {
  std::vector<std::string> tcp;        // "name=…,listen=…,upstream=…"
  std::vector<std::string> balancers;  // "name=…,listen=…,chain=…,key=…,roots=…"
  std::vector<std::string> upstreams;  // "balancer=…,tenant=…,address=…,chain=…,key=…,roots=…,server=…"
  std::string tenants;                 // folder of <tenant>/ca.pem
  std::string control_listen;
  CertificateFiles control_files;
  std::vector<std::string> canaries;
  size_t memory_bytes = 16 << 20;
};

struct RunOptions {
  std::vector<TcpRelayOptions> relays;
  std::vector<BalancerOptions> balancers;
};

// INVALID_ARGUMENT naming the option and what is wrong with it: a key unknown, missing or given twice, a name
// used twice, a balancer without upstream, an upstream for no balancer, no listener at all, or missing
// tenants.
absl::StatusOr<RunOptions> ParseRunOptions(const RunArguments& arguments);

}  // namespace keystead::infra
