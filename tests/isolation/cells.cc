#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "backend/policy.h"
#include "tests/isolation/matrix.h"

namespace keystead::testing {
namespace {

constexpr std::array<Standing, 4> kStandings = {Standing::kForeign, Standing::kSibling, Standing::kOperator,
                                                Standing::kForger};

std::vector<Role> RolesOf(Standing standing) {
  return standing == Standing::kOperator ? std::vector<Role>{Role::kOperator} : AllRoles();
}

}  // namespace

std::string_view StandingName(Standing standing) {
  switch (standing) {
    case Standing::kForeign:
      return "foreign";
    case Standing::kSibling:
      return "sibling";
    case Standing::kOperator:
      return "operator";
    case Standing::kForger:
      return "forger";
  }
  return "?";
}

std::string_view ObjectName(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kService:
      return "service";
    case ObjectKind::kInstantiation:
      return "instantiation";
    case ObjectKind::kCommit:
      return "commit";
    case ObjectKind::kMember:
      return "member";
    case ObjectKind::kTelemetry:
      return "telemetry";
    case ObjectKind::kCommand:
      return "command";
    case ObjectKind::kState:
      return "state";
    case ObjectKind::kKeyring:
      return "keyring";
    case ObjectKind::kMailbox:
      return "mailbox";
    case ObjectKind::kFactory:
      return "factory";
    case ObjectKind::kTenant:
      return "tenant";
  }
  return "?";
}

size_t ObjectsOf(ObjectKind kind) { return kind == ObjectKind::kTenant ? 1 : kVictims; }

const std::map<std::string, std::vector<ObjectKind>>& Targets() {
  using enum ObjectKind;
  static const auto* const targets = new std::map<std::string, std::vector<ObjectKind>>{
      {std::string(kHealthCheckMethod), {kService}},
      {std::string(kHealthWatchMethod), {kService}},
      {"/keystead.v1.Transport/Publish", {kTelemetry, kCommand, kState, kKeyring, kMember}},
      {"/keystead.v1.Transport/Subscribe", {kTelemetry, kCommand, kState, kKeyring}},
      {"/keystead.v1.Registry/Submit", {kInstantiation, kCommit, kMember}},
      {"/keystead.v1.Registry/Fetch", {kInstantiation, kCommit}},
      {"/keystead.v1.Rendezvous/Put", {kMailbox}},
      {"/keystead.v1.Rendezvous/Await", {kMailbox}},
      {"/keystead.v1.Enrollment/Enroll", {kFactory}},
      {"/keystead.v1.TenantAdmin/Create", {kTenant}},
      {"/keystead.v1.TenantAdmin/List", {kTenant}},
      {"/keystead.v1.TenantAdmin/GetLimits", {kTenant}},
      {"/keystead.v1.TenantAdmin/SetLimits", {kTenant}},
      {"/keystead.v1.TenantAdmin/Usage", {kTenant}},
      {"/keystead.v1.TenantAdmin/Audit", {kTenant}},
      {"/keystead.v1.TenantAdmin/Backup", {kTenant}},
      {"/keystead.v1.TenantAdmin/Restore", {kTenant}},
      {"/keystead.v1.TenantAdmin/Export", {kTenant}},
      {"/keystead.v1.TenantAdmin/RotateKey", {kTenant}},
      {"/keystead.v1.TenantAdmin/EraseTenant", {kTenant}},
      {"/keystead.v1.TenantAdmin/EraseInstantiation", {kTenant, kInstantiation}},
      {"/keystead.v1.Observer/Held", {kInstantiation, kTelemetry, kCommand, kState, kKeyring}},
      {"/keystead.v1.Revocation/Put", {kTenant}},
      {"/keystead.v1.Revocation/Fetch", {kTenant}},
  };
  return *targets;
}

std::vector<std::string> ServedMethods() {
  std::vector<std::string> out = {std::string(kHealthCheckMethod), std::string(kHealthWatchMethod)};
  for (const auto* service : backend::ServedServices()) {
    for (std::string& method : MethodsOf(*service)) out.push_back(std::move(method));
  }
  return out;
}

std::string Cell::Name() const {
  const auto shortened = [](size_t tenant) { return tenant == 0 ? "acme" : "globex"; };
  const std::string rpc = method.substr(method.find_last_of('.') + 1);  // "Transport/Publish"
  const char* const from = standing == Standing::kOperator ? "provider" : shortened(attacker);
  return absl::StrCat(Absl(StandingName(standing)), "/", from, ">", shortened(victim), "/",
                      Absl(RoleName(role)), "/", absl::StrReplaceAll(rpc, {{"/", "."}}), "/",
                      Absl(ObjectName(kind)), "-", object);
}

std::vector<Cell> AllCells() {
  std::vector<Cell> out;
  for (const Standing standing : kStandings) {
    for (size_t attacker = 0; attacker < kTenants; ++attacker) {
      for (size_t victim = 0; victim < kTenants; ++victim) {
        if ((attacker == victim) != (standing == Standing::kSibling)) continue;
        for (const Role role : RolesOf(standing)) {
          for (const auto& [method, kinds] : Targets()) {
            for (const ObjectKind kind : kinds) {
              for (size_t object = 0; object < ObjectsOf(kind); ++object)
                out.push_back({standing, attacker, victim, role, method, kind, object});
            }
          }
        }
      }
    }
  }
  return out;
}

size_t ExpectedCells() {
  constexpr size_t kPairsOfTwo = kTenants * (kTenants - 1);
  constexpr size_t kDirections = kPairsOfTwo + kTenants + kPairsOfTwo;  // foreign, sibling, forger
  size_t aims = 0;
  for (const std::string& method : ServedMethods()) {
    const auto row = Targets().find(method);
    if (row == Targets().end()) continue;
    for (const ObjectKind kind : row->second) aims += ObjectsOf(kind);
  }
  return (kDirections * kRoleCount + kPairsOfTwo) * aims;  // the operator has one role
}

}  // namespace keystead::testing
