#include "core/identity/spiffe_id.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr size_t kMaxUriBytes = 512;
constexpr std::array<std::string_view, kRoleCount> kRoleNames = {
    "device", "gateway", "app", "thirdparty", "service", "admin", "operator", "factory"};

bool IsIdentityCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_';
}

bool IsIdentity(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdentityBytes && id != "." && id != ".." &&
         std::all_of(id.begin(), id.end(), IsIdentityCharacter);
}

struct Parts {
  TenantName tenant;
  Role role;
  std::string_view id;
};

absl::StatusOr<Parts> Split(std::string_view uri) {
  if (uri.size() > kMaxUriBytes || !uri.starts_with(kScheme)) {
    return absl::InvalidArgumentError("not a SPIFFE id: must begin with spiffe://");
  }
  const std::string_view rest = uri.substr(kScheme.size());
  const size_t first = rest.find('/');
  const size_t second = first == std::string_view::npos ? first : rest.find('/', first + 1);
  if (second == std::string_view::npos) {
    return absl::InvalidArgumentError("not a SPIFFE id of ours: must be spiffe://<tenant>/<role>/<id>");
  }
  KS_ASSIGN_OR_RETURN(TenantName tenant, TenantName::Parse(rest.substr(0, first)));
  const std::optional<Role> role = RoleFromName(rest.substr(first + 1, second - first - 1));
  if (!role.has_value()) return absl::InvalidArgumentError("not a SPIFFE id of ours: unknown role");
  return Parts{std::move(tenant), *role, rest.substr(second + 1)};
}

std::string Join(const TenantName& tenant, Role role, std::string_view id) {
  return absl::StrCat(Absl(kScheme), tenant.str(), "/", Absl(RoleName(role)), "/", Absl(id));
}

}  // namespace

std::string_view RoleName(Role role) { return kRoleNames[static_cast<size_t>(role)]; }

std::optional<Role> RoleFromName(std::string_view name) {
  const auto* const found = std::find(kRoleNames.begin(), kRoleNames.end(), name);
  if (found == kRoleNames.end()) return std::nullopt;
  return static_cast<Role>(found - kRoleNames.begin());
}

absl::StatusOr<SpiffeId> SpiffeId::Parse(std::string_view uri) {
  KS_ASSIGN_OR_RETURN(const Parts parts, Split(uri));
  return Of(parts.tenant, parts.role, parts.id);
}

absl::StatusOr<SpiffeId> SpiffeId::Of(const TenantName& tenant, Role role, std::string_view id) {
  if (tenant == TenantName()) return absl::InvalidArgumentError("a SPIFFE id needs a tenant");
  if (!IsIdentity(id)) {
    return absl::InvalidArgumentError(
        "not a SPIFFE id of ours: <id> must be 1 to 64 characters of [A-Za-z0-9._-]");
  }
  SpiffeId out;
  out.tenant_ = tenant;
  out.role_ = role;
  out.id_ = std::string(id);
  return out;
}

std::string SpiffeId::str() const { return Join(tenant_, role_, id_); }

absl::StatusOr<PeerExpectation> PeerExpectation::Parse(std::string_view text) {
  KS_ASSIGN_OR_RETURN(const Parts parts, Split(text));
  if (parts.id != "*" && !IsIdentity(parts.id)) {
    return absl::InvalidArgumentError(
        "an expected peer is spiffe://<tenant>/<role>/<id>, or * in place of <id>");
  }
  PeerExpectation out;
  out.tenant_ = parts.tenant;
  out.role_ = parts.role;
  if (parts.id != "*") out.id_ = std::string(parts.id);
  return out;
}

PeerExpectation PeerExpectation::Exactly(const SpiffeId& id) {
  PeerExpectation out;
  out.tenant_ = id.tenant();
  out.role_ = id.role();
  out.id_ = id.id();
  return out;
}

// An expectation that was never set has an empty tenant, which no parsed id has, so it matches nobody.
bool PeerExpectation::Matches(const SpiffeId& peer) const {
  return tenant_ != TenantName() && peer.tenant() == tenant_ && peer.role() == role_ &&
         (id_.empty() || peer.id() == id_);
}

std::string PeerExpectation::str() const {
  return Join(tenant_, role_, id_.empty() ? "*" : std::string_view(id_));
}

}  // namespace keystead
