#include "gateway/policy.h"

#include "core/transport/caller_roles.h"
#include "keystead/v1/enrollment.pb.h"
#include "keystead/v1/observer.pb.h"
#include "keystead/v1/registry.pb.h"
#include "keystead/v1/rendezvous.pb.h"
#include "keystead/v1/revocation.pb.h"
#include "keystead/v1/transport.pb.h"

namespace keystead::gateway {

AuthorizationPolicy MakePolicy() {
  return {
      {kHealthCheckMethod, RoleSet::Operational()},
      {kHealthWatchMethod, RoleSet::Operational()},
      // Passed on to the next hop, which lets in the gateway itself.
      {"/keystead.v1.Enrollment/Enroll", kEnrolleeRoles},
      {"/keystead.v1.Revocation/Put", kSignatureBringerRoles},
      {"/keystead.v1.Revocation/Fetch", kRevocationFollowerRoles},
      {"/keystead.v1.Registry/Submit", kOwnerRoles},
      {"/keystead.v1.Registry/Fetch", kMemberRoles},
      {"/keystead.v1.Rendezvous/Put", kMemberRoles},
      {"/keystead.v1.Rendezvous/Await", kMemberRoles},
      // Served from the gateway's own log.
      {"/keystead.v1.Transport/Publish", kMemberRoles},
      {"/keystead.v1.Transport/Subscribe", kMemberRoles},
      // The same log, for who looks at what lies there: --observer.
      {"/keystead.v1.Observer/Held", RoleSet::Of(Role::kAdmin)},
  };
}

std::vector<const google::protobuf::ServiceDescriptor*> ServedServices() {
  return {v1::EnrollRequest::descriptor()->file()->FindServiceByName("Enrollment"),
          v1::PublishRequest::descriptor()->file()->FindServiceByName("Transport"),
          v1::SubmitCommitRequest::descriptor()->file()->FindServiceByName("Registry"),
          v1::PutRevocationsRequest::descriptor()->file()->FindServiceByName("Revocation"),
          v1::PutRequest::descriptor()->file()->FindServiceByName("Rendezvous"),
          v1::HeldRequest::descriptor()->file()->FindServiceByName("Observer")};
}

}  // namespace keystead::gateway
