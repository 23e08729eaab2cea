#include "backend/policy.h"

#include "keystead/v1/admin.pb.h"
#include "keystead/v1/enrollment.pb.h"
#include "keystead/v1/registry.pb.h"
#include "keystead/v1/rendezvous.pb.h"
#include "keystead/v1/transport.pb.h"

namespace keystead::backend {
namespace {

// Everybody who can stand in a roster. What each may then publish and read, the roster says.
constexpr RoleSet kMembers =
    RoleSet::Of(Role::kDevice, Role::kGateway, Role::kApp, Role::kThirdParty, Role::kService);
// A product that has nothing but its factory identity yet, and who carries for it.
constexpr RoleSet kEnrollees = RoleSet::Of(Role::kFactory, Role::kDevice, Role::kGateway);
// Owners are apps; a gateway or balancer between hands on what the owner signed.
constexpr RoleSet kOwners = RoleSet::Of(Role::kApp, Role::kGateway);
// Whose tenant it is about, the service looks at.
constexpr RoleSet kAdministrators = RoleSet::Of(Role::kAdmin, Role::kOperator);
constexpr RoleSet kOperators = RoleSet::Of(Role::kOperator);

}  // namespace

AuthorizationPolicy MakePolicy() {
  return {
      {kHealthCheckMethod, RoleSet::Operational()},
      {kHealthWatchMethod, RoleSet::Operational()},
      {"/keystead.v1.Enrollment/Enroll", kEnrollees},
      {"/keystead.v1.Transport/Publish", kMembers},
      {"/keystead.v1.Transport/Subscribe", kMembers},
      {"/keystead.v1.Registry/Submit", kOwners},
      {"/keystead.v1.Registry/Fetch", kMembers},
      {"/keystead.v1.Rendezvous/Put", kMembers},
      {"/keystead.v1.Rendezvous/Await", kMembers},
      {"/keystead.v1.TenantAdmin/Create", kOperators},
      {"/keystead.v1.TenantAdmin/List", kAdministrators},
      {"/keystead.v1.TenantAdmin/GetLimits", kAdministrators},
      {"/keystead.v1.TenantAdmin/SetLimits", kOperators},
      {"/keystead.v1.TenantAdmin/Usage", kAdministrators},
      {"/keystead.v1.TenantAdmin/Audit", kAdministrators},
  };
}

std::vector<const google::protobuf::ServiceDescriptor*> ServedServices() {
  return {v1::EnrollRequest::descriptor()->file()->FindServiceByName("Enrollment"),
          v1::PublishRequest::descriptor()->file()->FindServiceByName("Transport"),
          v1::SubmitCommitRequest::descriptor()->file()->FindServiceByName("Registry"),
          v1::PutRequest::descriptor()->file()->FindServiceByName("Rendezvous"),
          v1::UsageRequest::descriptor()->file()->FindServiceByName("TenantAdmin")};
}

}  // namespace keystead::backend
