// A home whose owner pairs a real gateway by its label and makes real commits.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/transport/group_view.h"

namespace keystead {
class JoinInitiator;
}

namespace keystead::testing {

// The owner's way to a rendezvous.
struct MailboxAccess {
  std::function<void(const MailboxName& box, const std::string& message)> put;
  std::function<std::vector<std::string>(const MailboxName& box, size_t at_least)> await;
};

class Household {
 public:
  Household();
  ~Household();

  const TenantName& tenant() const;
  const InstantiationId& id() const;
  const MemberId& owner() const;
  uint64_t epoch() const;  // of the last commit

  // Become part of the next commit.
  MemberId AddDevice(const std::string& transport);
  // The gateway has announced itself that many times.
  MemberId PairByLabel(const std::string& label_file, const MailboxAccess& mailboxes,
                       size_t announcements = 1);
  // Only says that it wants the gateway, and awaits no answer.
  void Claim(const std::string& label_file, const MailboxAccess& mailboxes);
  void Remove(const MemberId& member);
  // The next commit, as the registry puts it into the keyring.
  Payload Commit();
  const std::string& bundle() const;  // of the last commit
  // When the term of a gateway that is paired from here on is over.
  void SetGatewayTerm(absl::Time term);
  // A head of the owner, as an app publishes it.
  Payload HeadNotice(const StreamId& stream, uint64_t sequence);

 private:
  struct Impl;
  JoinInitiator StartJoin(const std::string& label_file, const MailboxAccess& mailboxes, size_t announcements,
                          const MemberId& newcomer);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::testing
