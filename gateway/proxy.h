// Rendezvous and Registry for the LAN: each call is made again to the next hop under the gateway's own
// identity, with the caller's deadline, and ends with its answer. So a device or an app behind the gateway
// can pair and commit. What the next hop would give the gateway it does not give everybody: Fetch is for
// those whom the gateway's own roster lets follow the keyring. One caller has its share of calls, so that it
// cannot use up what the next hop allows the gateway. Nothing is kept and nothing else is judged but sizes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "core/base/call_places.h"
#include "core/base/ids.h"
#include "core/base/rate_limiter.h"
#include "core/identity/principal.h"
#include "core/transport/grpc_names.h"
#include "core/transport/hop_channel.h"
#include "core/transport/revocation_keeper.h"

namespace keystead::gateway {

struct ProxyOptions {
  HopChannel channel;
  TenantName tenant;
  // Whether Registry calls about this instantiation pass; another than the gateway's own is "not there".
  std::function<bool(const InstantiationId&)> carries;
  const PrincipalResolver* resolver = nullptr;
  // Whether this peer may have the commits of this instantiation; answers once, on any thread.
  std::function<void(std::shared_ptr<const Principal> peer, const InstantiationId&,
                     std::function<void(const absl::Status&)> answer)>
      may_follow;
  CallPlaces::Limits awaits{
      .total = 56, .of_group = 56, .of_caller = 4, .of_caller_alone = 28};  // the next hop allows 64
  CallPlaces::Limits calls{
      .total = 64, .of_group = 64, .of_caller = 8, .of_caller_alone = 32};  // of everything else
  Rate rate{.per_second = 20, .burst = 120};  // of one caller; the next hop allows 50 and 200
  const Clock* clock = &Clock::System();
  RevocationKeeper* revocations = nullptr;         // what Revocation.Fetch answers from
  absl::Duration await_limit = absl::Seconds(60);  // of Rendezvous.Await, which waits for the other side
  absl::Duration call_limit = absl::Seconds(15);   // of everything else
};

// Thread-safe. Must outlive the server.
class Proxy {
 public:
  explicit Proxy(const ProxyOptions& options);
  ~Proxy();
  std::vector<grpc::Service*> services();
  // Gives up the calls of peers that are `refused`, which is asked without a lock.
  void EndCalls(const std::function<bool(const Principal&)>& refused);
  void Stop();  // cancels what is under way, so that the server can end

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::gateway
