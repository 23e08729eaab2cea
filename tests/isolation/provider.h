// The provider under attack: one backend process, two tenants with three households each, and everybody's
// certificates and connections.
#pragma once

#include <grpcpp/channel.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/identity/enrollment.h"
#include "tests/isolation/backend_process.h"
#include "tests/isolation/exchange.h"
#include "tests/isolation/household.h"

namespace keystead::testing {

inline constexpr size_t kTenants = 2;
inline constexpr size_t kVictims = 2;     // households of each tenant that are attacked
inline constexpr size_t kHouseholds = 3;  // and the one that the tenant's attackers are members of: the first
inline constexpr char kNoTenant[] = "none.keystead.example";  // registered nowhere

std::vector<Role> AllRoles();

class Provider {
 public:
  explicit Provider(const std::string& mutant = "");
  ~Provider();
  using Channel = std::shared_ptr<grpc::Channel>;
  // Exchange (exchange.h), again for as long as the answer is "come again": a call's place is given back once
  // the server knows that its caller has the answer, which on a busy machine may be after the caller's next
  // ones.
  static Answer Insist(const Channel& channel, const std::string& method, const std::string& request,
                       const std::function<bool(const std::string& response)>& enough = nullptr);
  // What the backend has logged since the last call, without the events of who was told to come again.
  std::vector<LoggedEvent> TakeEvents();

  BackendProcess& backend() { return *backend_; }
  const Household& household(size_t tenant, size_t which) const { return *households_.at(tenant).at(which); }
  const TenantName& tenant(size_t which) const { return household(which, 0).tenant(); }

  // The connection of whoever has `role` in the household, with a certificate of its tenant.
  const Channel& MemberOf(const Household& household, Role role);
  // The same name, or of role operator the provider's, on a certificate that another tenant's CA signed,
  // where nothing but the backend's own look at the issuer stands in the way: the admission CA has
  // cross-signed that CA without a name constraint.
  const Channel& ForgedMemberOf(const Household& household, Role role, size_t forger);
  const Channel& Operator();  // the provider's, by right
  static SpiffeId OperatorsName();

  // A household's mailbox, which holds one message, and the enrollment request of a product of its.
  const MailboxName& BoxOf(const Household& household) const { return boxes_.at(&household); }
  const EnrollmentRequest& ProductOf(const Household& household) const { return products_.at(&household); }
  // A request that is all right but for its tenant, which is not registered.
  const EnrollmentRequest& ProductOfNoTenant() const { return no_tenants_product_; }
  // The CA key of the attacker's tenant; within a tenant, of a CA that nobody knows.
  SecretBytes WrongCaKey(size_t attacker, size_t victim) const;
  std::string AttackersCaPem() const;  // of a CA that nobody knows
  // For a name of `tenant`, by a CA of the attacker's own.
  EnrollmentRequest ForgedProduct(const TenantName& tenant, const std::string& name) const;

  // Over all that members of the tenant's households can see: bounds and bytes of topics, commits, mailboxes,
  // and the limits set.
  // Fails the test when one of their calls is not answered, or the service is not SERVING.
  Digest StateOf(size_t tenant);
  std::string RevocationsOf(size_t tenant);  // asked for too often, it is refused: not for every cell

 private:
  void Revoke(size_t tenant);
  void Furnish(const Household& household);
  void MakeForgersAuthorities();
  Channel Dial(const CertificateFiles& files) const;
  std::string SeenOf(const Household& household);

  std::array<std::vector<std::unique_ptr<Household>>, kTenants> households_;
  std::array<std::string, kTenants> forgers_;  // folders of CAs
  std::string attackers_ca_;                   // that nobody knows
  std::unique_ptr<BackendProcess> backend_;
  std::map<std::string, Channel> channels_;
  std::map<const Household*, MailboxName> boxes_;
  std::map<const Household*, EnrollmentRequest> products_;
  EnrollmentRequest no_tenants_product_;
};

}  // namespace keystead::testing
