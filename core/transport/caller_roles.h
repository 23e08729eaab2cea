// Who calls the services that gateway and backend both serve, by kind of caller. Their policy tables are
// written in these words.
#pragma once

#include "core/identity/spiffe_id.h"

namespace keystead {

// Everybody who can stand in a roster. What each may then publish and read, the roster says.
inline constexpr RoleSet kMemberRoles =
    RoleSet::Of(Role::kDevice, Role::kGateway, Role::kApp, Role::kThirdParty, Role::kService);
// Owners are apps; a gateway or balancer between hands on what the owner signed.
inline constexpr RoleSet kOwnerRoles = RoleSet::Of(Role::kApp, Role::kGateway);
// A product that has nothing but its factory identity yet, and who carries for it.
inline constexpr RoleSet kEnrolleeRoles = RoleSet::Of(Role::kFactory, Role::kDevice, Role::kGateway);
// What a tenant has signed proves itself, whoever of the tenant's brings it.
inline constexpr RoleSet kSignatureBringerRoles =
    RoleSet::Of(Role::kDevice, Role::kGateway, Role::kApp, Role::kThirdParty, Role::kService, Role::kAdmin);
// Hops refuse whom their tenant revoked; an administrator looks.
inline constexpr RoleSet kRevocationFollowerRoles = RoleSet::Of(Role::kGateway, Role::kAdmin);

}  // namespace keystead
