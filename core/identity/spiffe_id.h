// Names of transport peers: spiffe://<tenant name>/<role>/<id> (SPIFFE-ID, sections 2 and 3). The tenant is
// the trust domain and not a path element, because X.509 name constraints bind only the host of a URI (RFC
// 5280, section 4.2.1.10).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"

namespace keystead {

// kAdmin is a tenant's own administrator; kOperator is the provider's, and of nobody else
// (PrincipalResolver). kFactory is what a product is before it is anybody's: good for enrolling and for
// nothing else (core/identity/enrollment.h). The others are operational.
enum class Role : uint8_t { kDevice, kGateway, kApp, kThirdParty, kService, kAdmin, kOperator, kFactory };
inline constexpr size_t kRoleCount = 8;

// "device", "gateway", "app", "thirdparty", "service", "admin", "operator", "factory"
std::string_view RoleName(Role role);
std::optional<Role> RoleFromName(std::string_view name);

// A set of roles. RoleSet() is empty: nobody.
class RoleSet {
 public:
  constexpr RoleSet() = default;
  template <class... Roles>
  static constexpr RoleSet Of(Roles... roles) {
    RoleSet out;
    ((out.bits_ |= 1u << static_cast<unsigned>(roles)), ...);
    return out;
  }
  static constexpr RoleSet Operational() {  // every role but kFactory
    RoleSet out;
    out.bits_ = (1u << static_cast<unsigned>(Role::kFactory)) - 1;
    return out;
  }
  constexpr bool contains(Role role) const { return (bits_ >> static_cast<unsigned>(role) & 1u) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  bool operator==(const RoleSet&) const = default;

 private:
  uint32_t bits_ = 0;
};

inline constexpr size_t kMaxIdentityBytes = 64;  // the <id> element

// Value type; its text is canonical: what Parse accepts is what str() gives back.
class SpiffeId {
 public:
  SpiffeId() = default;
  // INVALID_ARGUMENT unless exactly spiffe://<tenant>/<role>/<id>, with <id> of 1 to 64 characters of
  // [A-Za-z0-9._-], not "." or "..". No port, query, fragment, percent sign, upper-case host or trailing
  // slash.
  static absl::StatusOr<SpiffeId> Parse(std::string_view uri);
  static absl::StatusOr<SpiffeId> Of(const TenantName& tenant, Role role, std::string_view id);

  const TenantName& tenant() const { return tenant_; }
  Role role() const { return role_; }
  const std::string& id() const { return id_; }
  std::string str() const;
  auto operator<=>(const SpiffeId&) const = default;

 private:
  TenantName tenant_;
  Role role_ = Role::kDevice;
  std::string id_;
};

// Whom a client is prepared to meet: one trust domain and role, and one id or any of that role.
// Written as a SPIFFE id whose <id> may be "*": spiffe://acme.keystead.example/gateway/*
class PeerExpectation {
 public:
  static absl::StatusOr<PeerExpectation> Parse(std::string_view text);  // INVALID_ARGUMENT
  static PeerExpectation Exactly(const SpiffeId& id);
  bool Matches(const SpiffeId& peer) const;
  std::string str() const;

 private:
  TenantName tenant_;
  Role role_ = Role::kService;
  std::string id_;  // empty: any
};

}  // namespace keystead
