// The small calls to the next hop: mailboxes of the rendezvous, and the registry of commits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/transport/grpc_names.h"

namespace keystead::mobile {

// Thread-safe. Calls block until answered or `patience` is over; while the hop cannot be reached they wait,
// and while it says RESOURCE_EXHAUSTED they come again with growing pauses (core/transport/backoff.h).
class HopClient {
 public:
  explicit HopClient(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

  absl::Status Put(const MailboxName& box, ByteView message, absl::Duration patience) const;
  // Messages from index `after` on; empty when none came in time, or the hop asked for patience all the
  // while. Other statuses as the hop gave them.
  absl::StatusOr<std::vector<std::string>> Await(const MailboxName& box, uint32_t after,
                                                 absl::Duration patience) const;
  // ABORTED: the parent is not the registry's head.
  absl::Status Submit(const TenantName& tenant, const InstantiationId& id, ByteView bundle,
                      absl::Duration patience) const;
  absl::StatusOr<std::vector<std::string>> FetchCommits(const TenantName& tenant, const InstantiationId& id,
                                                        uint64_t from_epoch, absl::Duration patience) const;

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace keystead::mobile
