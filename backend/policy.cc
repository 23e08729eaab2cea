#include "backend/policy.h"

#include "core/base/mutants.h"
#include "core/transport/caller_roles.h"
#include "keystead/v1/admin.pb.h"
#include "keystead/v1/enrollment.pb.h"
#include "keystead/v1/observer.pb.h"
#include "keystead/v1/registry.pb.h"
#include "keystead/v1/rendezvous.pb.h"
#include "keystead/v1/revocation.pb.h"
#include "keystead/v1/transport.pb.h"

namespace keystead::backend {
namespace {

// Whose tenant it is about, the service looks at.
constexpr RoleSet kAdministrators = RoleSet::Of(Role::kAdmin, Role::kOperator);
constexpr RoleSet kOperators = RoleSet::Of(Role::kOperator);

RoleSet UsageRoles() { return MutantActive(Mutant::kOneRpcOpen) ? RoleSet::Operational() : kAdministrators; }

}  // namespace

AuthorizationPolicy MakePolicy() {
  return {
      {kHealthCheckMethod, RoleSet::Operational()},
      {kHealthWatchMethod, RoleSet::Operational()},
      {"/keystead.v1.Enrollment/Enroll", kEnrolleeRoles},
      {"/keystead.v1.Revocation/Put", kSignatureBringerRoles},
      {"/keystead.v1.Revocation/Fetch", kRevocationFollowerRoles},
      {"/keystead.v1.Transport/Publish", kMemberRoles},
      {"/keystead.v1.Transport/Subscribe", kMemberRoles},
      {"/keystead.v1.Registry/Submit", kOwnerRoles},
      {"/keystead.v1.Registry/Fetch", kMemberRoles},
      {"/keystead.v1.Rendezvous/Put", kMemberRoles},
      {"/keystead.v1.Rendezvous/Await", kMemberRoles},
      {"/keystead.v1.TenantAdmin/Create", kOperators},
      {"/keystead.v1.TenantAdmin/List", kAdministrators},
      {"/keystead.v1.TenantAdmin/GetLimits", kAdministrators},
      {"/keystead.v1.TenantAdmin/SetLimits", kOperators},
      {"/keystead.v1.TenantAdmin/Usage", UsageRoles()},
      {"/keystead.v1.TenantAdmin/RotateKey", kAdministrators},
      {"/keystead.v1.TenantAdmin/EraseTenant", kAdministrators},
      {"/keystead.v1.TenantAdmin/EraseInstantiation", kAdministrators},
      {"/keystead.v1.TenantAdmin/Audit", kAdministrators},
      {"/keystead.v1.TenantAdmin/Backup", kOperators},
      {"/keystead.v1.TenantAdmin/Restore", kOperators},
      {"/keystead.v1.TenantAdmin/Export", kOperators},
      // Where the backend serves it: --observer.
      {"/keystead.v1.Observer/Held", kOperators},
  };
}

std::vector<const google::protobuf::ServiceDescriptor*> ServedServices() {
  return {v1::EnrollRequest::descriptor()->file()->FindServiceByName("Enrollment"),
          v1::PublishRequest::descriptor()->file()->FindServiceByName("Transport"),
          v1::SubmitCommitRequest::descriptor()->file()->FindServiceByName("Registry"),
          v1::PutRevocationsRequest::descriptor()->file()->FindServiceByName("Revocation"),
          v1::PutRequest::descriptor()->file()->FindServiceByName("Rendezvous"),
          v1::UsageRequest::descriptor()->file()->FindServiceByName("TenantAdmin"),
          v1::HeldRequest::descriptor()->file()->FindServiceByName("Observer")};
}

}  // namespace keystead::backend
