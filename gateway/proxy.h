// Rendezvous and Registry for the LAN: each call is made again to the next hop under the gateway's own
// identity, with the caller's deadline, and ends with its answer. So a device or an app behind the gateway
// can pair and commit. Nothing is kept and nothing is judged but sizes and whose it is.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/server.h>

#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "core/base/ids.h"

namespace keystead::gateway {

struct ProxyOptions {
  std::shared_ptr<grpc::Channel> channel;
  TenantName tenant;
  // Whether Registry calls about this instantiation pass; another than the gateway's own is "not there".
  std::function<bool(const InstantiationId&)> carries;
  absl::Duration await_limit = absl::Seconds(60);  // of Rendezvous.Await, which waits for the other side
  absl::Duration call_limit = absl::Seconds(15);   // of everything else
};

// Thread-safe. Must outlive the server.
class Proxy {
 public:
  explicit Proxy(const ProxyOptions& options);
  ~Proxy();
  std::vector<grpc::Service*> services();
  void Stop();  // cancels what is under way, so that the server can end

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::gateway
