// The one place where a call is let in: who is it, is that identity still good, may its role use this RPC.
// Runs before any handler and also for health checks and for methods that do not exist.
#pragma once

#include <google/protobuf/descriptor.h>

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/identity/principal.h"
#include "core/transport/grpc_names.h"

namespace keystead {

inline constexpr std::string_view kHealthCheckMethod = "/grpc.health.v1.Health/Check";
inline constexpr std::string_view kHealthWatchMethod = "/grpc.health.v1.Health/Watch";

// RPC × role. What has no row is refused. Immutable value.
class AuthorizationPolicy {
 public:
  struct Row {
    std::string_view method;  // "/keystead.v1.Transport/Publish"
    RoleSet roles;            // empty: written down, and nobody
  };
  AuthorizationPolicy() = default;  // refuses everything
  AuthorizationPolicy(std::initializer_list<Row> rows);

  bool Allows(std::string_view method, Role role) const;
  bool HasRow(std::string_view method) const;
  std::vector<std::string> Methods() const;  // sorted
  // For the test that fails when a new RPC has no row: the methods of `services` without one, sorted.
  std::vector<std::string> MethodsWithoutRow(
      std::span<const google::protobuf::ServiceDescriptor* const> services) const;

 private:
  absl::flat_hash_map<std::string, RoleSet> rows_;
};

// "/package.Service/Method" for every method of the service, in the order of its declaration.
std::vector<std::string> MethodsOf(const google::protobuf::ServiceDescriptor& service);

// The caller of a handler, as the processor below has already established it: from the resolver's cache.
// UNAUTHENTICATED when the connection has no client certificate or the certificate stopped being good in the
// meantime.
absl::StatusOr<std::shared_ptr<const Principal>> PrincipalOf(const grpc::ServerContextBase& context,
                                                             const PrincipalResolver& resolver);

// The processor that StartServer attaches. Answers UNAUTHENTICATED (who are you) or PERMISSION_DENIED (not
// with this role) with one fixed sentence each, and reports peer_refused, issuer_mismatch or not_permitted.
// Never blocks.
std::shared_ptr<grpc::AuthMetadataProcessor> MakeAuthProcessor(
    std::shared_ptr<const PrincipalResolver> resolver, AuthorizationPolicy policy);

}  // namespace keystead
