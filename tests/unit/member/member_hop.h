// The hop of tests/unit/transport behind a small face: what stands in its logs, and how it misbehaves.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/identity/certificate_files.h"
#include "core/identity/spiffe_id.h"
#include "core/transport/group_view.h"
#include "core/transport/publisher.h"
#include "tests/unit/transport/test_groups.h"

namespace grpc {
class Service;
}

namespace keystead::testing {

class MemberHop {
 public:
  explicit MemberHop(std::vector<grpc::Service*> more = {});  // served beside Transport
  ~MemberHop();

  void Start();
  void Stop();
  std::shared_ptr<grpc::Channel> DialAs(Role role) const;
  std::string address() const;
  static const char* spiffe_id();  // whom a client should expect

  void RefuseSender(const MemberId& sender);  // while it is stopped, or before anybody publishes
  void RefuseNobody();                        // likewise
  void Busy(int times);                       // ends so many calls with RESOURCE_EXHAUSTED

  // Stores a group in the log of its topic, as the hop does, past its admission.
  void Append(const Payload& group);
  size_t Subscriptions() const;  // open now

  // The groups of a topic in order of the log.
  std::vector<Payload> Groups(const InstantiationId& id, const Topic& topic) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

PublisherOptions QuickPublisherOptions();
BackoffOptions QuickBackoff();

}  // namespace keystead::testing
