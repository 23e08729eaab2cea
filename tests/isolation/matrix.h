// The attack matrix: who attacks × whom × in which role × by which RPC × at which object. What a cell must
// answer follows from the policy table and from how the attacker stands to the victim.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/isolation/provider.h"

namespace keystead::testing {

// How the attacker stands to the household it attacks.
enum class Standing {
  kForeign,   // of another tenant
  kSibling,   // of the same tenant, a member of another household
  kOperator,  // the provider's own operator
  kForger,    // shows the name of the victim's own member, on a certificate that another tenant's CA signed
};
std::string_view StandingName(Standing standing);

// What belongs to somebody. kService stands for an RPC at which nothing does.
enum class ObjectKind {
  kService,
  kInstantiation,
  kCommit,
  kMember,
  kTelemetry,
  kCommand,
  kState,
  kKeyring,
  kMailbox,
  kFactory,
  kTenant
};
std::string_view ObjectName(ObjectKind kind);
// One of each household attacked, the first of the first; of tenants there is one on each side.
size_t ObjectsOf(ObjectKind kind);

// What each RPC can be aimed at, by its full name. Every RPC that the backend serves must have a row here,
// and at least one kind in it.
const std::map<std::string, std::vector<ObjectKind>>& Targets();
// Every RPC that the backend serves, health included.
std::vector<std::string> ServedMethods();

struct Cell {
  Standing standing = Standing::kForeign;
  size_t attacker = 0;  // tenants
  size_t victim = 0;
  Role role = Role::kDevice;
  std::string method;
  ObjectKind kind = ObjectKind::kService;
  size_t object = 0;

  // Whose certificate carries an operator's name but is not the provider's.
  bool IsFalseOperator() const { return role == Role::kOperator && standing != Standing::kOperator; }
  std::string Name() const;  // "foreign/acme>globex/app/Transport.Publish/telemetry-0"
};

// Every cell there is; and their number, reckoned from descriptors, roles and the table alone.
std::vector<Cell> AllCells();
size_t ExpectedCells();

struct Finding {
  Cell cell;
  std::vector<std::string> wrong;  // what did not hold; empty when all did
  grpc::StatusCode code = grpc::StatusCode::OK;
};

// Runs the cells in their order, and calls `each` after every one.
void RunCells(Provider& provider, const std::vector<Cell>& cells,
              const std::function<void(const Finding&)>& each);

}  // namespace keystead::testing
