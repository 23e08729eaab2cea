// The server side of keystead.v1.Transport, the same for every hop.
//
// Publish: a request becomes one storage task; acknowledgements are cumulative, coalesced and sent only for
// what is durable. A call holds at most max_requests_per_call, max_bytes_per_call and max_refusals_per_call;
// beyond them it is not read until the writer, or the publisher, has caught up, which HTTP/2 flow control
// carries to the publisher.
// Subscribe: entries are read when the peer has taken the message before, so a slow reader costs one message
// of memory. Groups that queued meanwhile, of all topics, travel in one message; a lone one goes at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/identity/principal.h"
#include "core/transport/executor.h"
#include "core/transport/hop.h"
#include "core/transport/record_log.h"

namespace grpc {
class Service;
}

namespace keystead {

struct TransportServiceOptions {
  size_t max_requests_per_call = 64;
  size_t max_bytes_per_call = 8 << 20;
  // What one device may bring on its own call within kToldWindow, by the second, before the log says so, once
  // in each. 0: as much as it likes. Nothing is held back for it.
  size_t told_bytes_per_second = 0;
  // Refusals that a publisher has not read yet. One request under way may go beyond it.
  size_t max_refusals_per_call = 8192;
  // Of one SubscribeResponse, about; one group may be larger. As much as a stream of HTTP/2 may begin with:
  // what a peer does not read costs no more, and nobody waits long for it to be put together.
  size_t response_bytes = 64 << 10;
  // How long an ended call waits for a peer that does not read what was being sent.
  absl::Duration end_grace = absl::Seconds(2);
  // How often open calls are asked whether their certificate still counts, also when nothing happens on them.
  absl::Duration recheck_interval = absl::Seconds(15);
};

// An open call, for EndCalls.
struct OpenCall {
  const Principal& principal;
  const SubscribeDemand* demand;  // null for Publish
};

struct TransportServiceStats {
  uint64_t publish_calls = 0;  // open now
  uint64_t subscribe_calls = 0;
  uint64_t requests = 0;  // since start
  uint64_t groups_in = 0;
  uint64_t acks = 0;
  uint64_t refusals = 0;
  uint64_t messages_out = 0;
  uint64_t groups_out = 0;
  uint64_t bytes_out = 0;
};

// Thread-safe.
class TransportService {
 public:
  // Nothing is owned; all must outlive the service. The service must outlive the server, and the store must
  // have finished its tasks (be destroyed) before the service is.
  TransportService(Hop* hop, RecordLog* log, Executor* executor, const TransportServiceOptions& options);
  TransportService(Hop* hop, RecordLog* log, Executor* executor)
      : TransportService(hop, log, executor, TransportServiceOptions()) {}
  ~TransportService();

  grpc::Service* service();  // for ServerOptions::services

  // Ends the open calls for which `which` is true with `status`, and returns how many. Called on the store's
  // writer thread (inside Done of the task that changed the roster) it leaves no gap: calls admitted before
  // are found, later ones meet the new roster. `which` must not call the service. No message starts after it
  // has returned, but one that was being written may still arrive.
  size_t EndCalls(const std::function<bool(const OpenCall&)>& which, const absl::Status& status);
  // Ends all calls and refuses new ones with UNAVAILABLE: call it before the server's Shutdown.
  void Stop();

  TransportServiceStats GetStats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace keystead
