// One instantiation with real members and sealed content: what the matrix attacks, and where its attackers
// are at home.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/identity/spiffe_id.h"
#include "core/sealing/member.h"
#include "core/sealing/stream_writer.h"

namespace keystead::testing {

// Planted in every device's telemetry.
inline constexpr std::string_view kCanary = "CANARY-4711-do-not-leak";

// A device writes telemetry and state, the owner commands; a gateway carries, a third party and a service of
// the maker read the telemetry. Each is called after the household: "device-<name>".
class Household {
 public:
  Household(const TenantName& tenant, const std::string& name);
  ~Household();

  const TenantName& tenant() const { return tenant_; }
  const std::string& name() const { return name_; }
  const InstantiationId& id() const { return id_; }
  // Who has `role` here; of roles that no roster holds, a name like the others'.
  SpiffeId MemberOf(Role role) const;
  Topic TopicOf(TopicKind kind) const;
  const MemberId& device() const;
  const MemberId& owner() const;
  const MembershipChain& chain() const;
  std::vector<Topic> Topics() const;  // all of them

  // In the order in which they must be submitted by the owner, and then published by who wrote them.
  const std::vector<std::string>& bundles() const { return bundles_; }
  struct Written {
    Role by;
    std::string group;
  };
  const std::vector<Written>& groups() const { return groups_; }
  const StreamId& StreamOf(TopicKind kind) const { return streams_.at(kind); }

  // Of the same chain, properly made, but signed by somebody who is not the owner: commit `epoch`, which
  // leaves `without` out.
  std::string ForgedCommit(uint64_t epoch, const MemberId* without) const;

  // Readings that somebody of this household, with all the keys it has, opens in a group.
  std::vector<std::string> Opened(Role reader, const std::string& group) const;
  // All the keys of this instantiation that somebody of it has: what is stolen with a device or a phone.
  const KeyRing& RingOf(Role role) const;

 private:
  struct Party;
  Party& Add(Role role, MemberKind kind);
  void Commit(const std::vector<Role>& add);
  void Write(Role by, TopicKind kind, std::string_view text);
  OwnerIdentity Identity() const;

  const TenantName tenant_;
  const std::string name_;
  Digest nonce_;
  InstantiationId id_;
  std::map<Role, std::unique_ptr<Party>> parties_;
  std::vector<std::string> bundles_;
  std::vector<Written> groups_;
  std::map<TopicKind, StreamId> streams_;
};

}  // namespace keystead::testing
