#include "infra-sim/options.h"

#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/program/key_values.h"

namespace keystead::infra {
namespace {

absl::Status In(std::string_view option, const std::string& text, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(Absl(option), " '", text, "': ", status.message()));
}

CertificateFiles FilesOf(const KeyValues& values) {
  return {.chain = values.at("chain"), .key = values.at("key"), .roots = values.at("roots")};
}

absl::StatusOr<TcpRelayOptions> ParseTcp(const std::string& text) {
  KS_ASSIGN_OR_RETURN(const KeyValues values,
                      ParseKeyValues(text, {"name", "listen", "upstream"}, {"max_connections"}));
  TcpRelayOptions out;
  out.name = values.at("name");
  out.listen_address = values.at("listen");
  out.upstream = values.at("upstream");
  const auto most = values.find("max_connections");
  if (most != values.end() && !absl::SimpleAtoi(most->second, &out.max_connections)) {
    return absl::InvalidArgumentError("max_connections is not a number");
  }
  return out;
}

absl::StatusOr<BalancerOptions> ParseBalancer(const std::string& text) {
  KS_ASSIGN_OR_RETURN(const KeyValues values,
                      ParseKeyValues(text, {"name", "listen", "chain", "key", "roots"}));
  return BalancerOptions{values.at("name"), values.at("listen"), FilesOf(values), {}};
}

absl::Status AddUpstream(const std::string& text, std::vector<BalancerOptions>& balancers) {
  KS_ASSIGN_OR_RETURN(const KeyValues values, ParseKeyValues(text, {"balancer", "tenant", "address", "chain",
                                                                    "key", "roots", "server"}));
  const auto balancer = std::find_if(balancers.begin(), balancers.end(), [&](const BalancerOptions& b) {
    return b.name == values.at("balancer");
  });
  if (balancer == balancers.end()) return absl::InvalidArgumentError("there is no such balancer");
  KS_ASSIGN_OR_RETURN(const TenantName tenant, TenantName::Parse(values.at("tenant")));
  KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(values.at("server")));
  balancer->upstreams.push_back({tenant, values.at("address"), FilesOf(values), server});
  return absl::OkStatus();
}

absl::Status CheckWhole(const RunArguments& arguments, const RunOptions& options) {
  if (options.relays.empty() && options.balancers.empty()) {
    return absl::InvalidArgumentError("nothing to listen on: give --tcp or --balancer");
  }
  std::set<std::string> names = {"control"};
  for (const auto& relay : options.relays) {
    if (!names.insert(relay.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("two listeners are called '", relay.name, "'"));
    }
  }
  for (const auto& balancer : options.balancers) {
    if (!names.insert(balancer.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("two listeners are called '", balancer.name, "'"));
    }
    if (balancer.upstreams.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("balancer '", balancer.name, "' has no --upstream: give one for each tenant"));
    }
  }
  const bool needs_tenants = !options.balancers.empty() || !arguments.control_listen.empty();
  if (needs_tenants && arguments.tenants.empty()) {
    return absl::InvalidArgumentError("--tenants is needed: the folder with <tenant>/ca.pem");
  }
  const CertificateFiles& control = arguments.control_files;
  if (!arguments.control_listen.empty() &&
      (control.chain.empty() || control.key.empty() || control.roots.empty())) {
    return absl::InvalidArgumentError(
        "--control-listen needs --control-tls-chain, --control-tls-key and --control-tls-roots");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RunOptions> ParseRunOptions(const RunArguments& arguments) {
  RunOptions out;
  for (const std::string& text : arguments.tcp) {
    auto relay = ParseTcp(text);
    if (!relay.ok()) return In("--tcp", text, relay.status());
    out.relays.push_back(*std::move(relay));
  }
  for (const std::string& text : arguments.balancers) {
    auto balancer = ParseBalancer(text);
    if (!balancer.ok()) return In("--balancer", text, balancer.status());
    out.balancers.push_back(*std::move(balancer));
  }
  for (const std::string& text : arguments.upstreams) {
    const absl::Status added = AddUpstream(text, out.balancers);
    if (!added.ok()) return In("--upstream", text, added);
  }
  KS_RETURN_IF_ERROR(CheckWhole(arguments, out));
  return out;
}

}  // namespace keystead::infra
