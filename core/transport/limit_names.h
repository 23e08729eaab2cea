// The names of limits that a hop sets for each peer, or for each tenant beside what its operators set
// (keystead.v1.TenantLimits): what a refusal carries. Documented in proto/keystead/v1/admin.proto.
#pragma once

#include <array>
#include <string_view>

#include "absl/time/time.h"

namespace keystead::peer_limits {

inline constexpr std::string_view kSubmits = "submits";
inline constexpr std::string_view kRegistryCalls = "registry_calls";
inline constexpr std::string_view kCommits = "commits";
inline constexpr std::string_view kNewInstantiations = "new_instantiations";
inline constexpr std::string_view kEnrollments = "enrollments";
inline constexpr std::string_view kCertificates = "certificates";
inline constexpr std::string_view kRendezvousCalls = "rendezvous_calls";
inline constexpr std::string_view kMailboxes = "mailboxes";
inline constexpr std::string_view kRevocations = "revocations";
inline constexpr std::string_view kRevocationFetches = "revocation_fetches";
inline constexpr std::string_view kAuditExports = "audit_exports";
inline constexpr std::string_view kRotations = "key_rotations";
inline constexpr std::string_view kAdminCalls = "admin_calls";
inline constexpr std::string_view kErasures = "erasures";
inline constexpr std::string_view kCopies = "copies";
inline constexpr std::string_view kObservations = "observations";
inline constexpr std::string_view kGatewayCalls = "gateway_calls";
inline constexpr std::string_view kGatewayQueue = "gateway_queue";
inline constexpr std::string_view kLookUps = "look_ups";
inline constexpr std::string_view kCapacity = "capacity";

// All of them, and the share of the writer's queue that a backend gives to each tenant.
inline constexpr std::string_view kQueue = "queue";
inline constexpr std::array kAll = {
    kSubmits,         kRegistryCalls, kCommits,     kNewInstantiations, kEnrollments,  kCertificates,
    kRendezvousCalls, kMailboxes,     kRevocations, kRevocationFetches, kAuditExports, kRotations,
    kAdminCalls,      kErasures,      kCopies,      kObservations,      kGatewayCalls, kGatewayQueue,
    kLookUps,         kCapacity,      kQueue};

// When to come again for one of so many places: somebody else's call has to end first.
inline constexpr absl::Duration kComeBackForPlace = absl::Seconds(1);

}  // namespace keystead::peer_limits
