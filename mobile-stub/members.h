// Who is who in the instantiation, by the names people use.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/membership/chain.h"
#include "core/sealing/reader.h"

namespace keystead::mobile {

// The last element of a member's SPIFFE id; the start of its member id when it has none.
std::string DeviceIdOf(const RosterEntry& entry);
std::string DeviceIdOf(const MembershipChain& chain, const MemberId& member);  // also of one removed

// A member of the present roster by member id in hex, by an unambiguous start of it (4 digits at least), or
// by device id. INVALID_ARGUMENT when none or several match, naming those there are.
absl::StatusOr<MemberId> FindMember(const MembershipChain& chain, std::string_view name);

// Topics that may hold what members write, of present and former ones (newest first), without keyring and
// commands, as far as `self` may read them by the newest roster.
std::vector<Topic> ReadableTopics(const MembershipChain& chain, const MemberId& self, size_t max);

// The members whose streams must follow a change of keys: whoever writes telemetry or state.
std::vector<MemberId> Writers(const Roster& roster);

// Of the writers that `self` may read, those who have opened no stream under the newest epoch: whether a
// change of keys has reached them is not known.
std::vector<MemberId> NotYetUnderNewKeys(const MembershipChain& chain, const MemberId& self,
                                         const std::vector<StreamStatus>& streams);

// Who may have written under the epoch that a commit ends: their keys stay until their ends were read.
std::vector<std::pair<Topic, MemberId>> SendersOf(const Roster& roster);

// First epoch in which the member belongs without a break until the last in which it did.
uint64_t MemberSince(const MembershipChain& chain, const MemberId& member);

}  // namespace keystead::mobile
