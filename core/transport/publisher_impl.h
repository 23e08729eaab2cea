// Inside of Publisher.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/hop_channel.h"
#include "core/transport/publisher.h"
#include "core/transport/response_writer.h"
#include "core/transport/status_mapping.h"
#include "core/transport/timer.h"
#include "core/transport/transport_metrics.h"
#include "core/transport/wire.h"
#include "keystead/v1/transport.pb.h"

namespace keystead {

// One call. Requests go as bytes: large groups by reference. The flags are guarded by the publisher's lock.
struct PublishStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, v1::PublishResponse> {
  explicit PublishStream(std::shared_ptr<Publisher::Impl> owner) : impl(std::move(owner)) {}
  void Open();
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  const std::shared_ptr<Publisher::Impl> impl;
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  v1::PublishResponse response;
  bool writing = false;
  bool broken = false;    // nothing more will be written
  bool released = false;  // the hold is, or is about to be, removed
  bool done = false;
  bool protocol_error = false;
};

class Publisher::Impl : public std::enable_shared_from_this<Publisher::Impl> {
 public:
  Impl(HopChannel channel, PublisherCallbacks callbacks, const PublisherOptions& options)
      : callbacks_(std::move(callbacks)),
        options_(options),
        channel_(std::move(channel)),
        backoff_(options.backoff, options.random) {}

  void Start();
  void Stop();
  absl::StatusOr<uint64_t> Enqueue(Payload group);
  Stats GetStats() const;

  // From the stream. THREAD: gRPC's.
  void Written(bool ok);
  bool Acknowledged(const v1::PublishResponse& response);  // false: give the stream up
  void Broken(bool protocol_error);
  void Closed(const grpc::Status& status);
  HopChannel channel() const {
    absl::MutexLock lock(&mutex_);
    return channel_;
  }

 private:
  // What to do once the lock is released: no operation is started under it.
  struct Action {
    PublishStream* stream = nullptr;
    bool open = false;
    std::vector<Payload> groups;  // to write
  };
  // Request `number` of the call: `groups` tickets from first_ticket on.
  struct InFlight {
    uint64_t number = 0;
    uint64_t first_ticket = 0;
    size_t groups = 0;
    Stopwatch since;
  };

  Action NextLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ShouldSendLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ReleaseLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const InFlight* FindLocked(uint64_t request) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void WatchLocked(absl::Duration in) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(const Action& action);
  void Reconnect();
  void LingerOver(bool ok);
  void WatchdogFired(bool ok);

  const PublisherCallbacks callbacks_;
  const PublisherOptions options_;
  LatencyHistogram& published_ = PublishedTimes();

  mutable absl::Mutex mutex_;
  HopChannel channel_ ABSL_GUARDED_BY(mutex_);
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // Not durable yet, in order; the first sent_ of them went out on this call.
  std::deque<Payload> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t first_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  size_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t buffered_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t unsent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<InFlight> in_flight_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_request_ ABSL_GUARDED_BY(mutex_) = 1;
  std::unique_ptr<PublishStream> stream_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<PublishStream> finished_ ABSL_GUARDED_BY(mutex_);
  bool connected_ ABSL_GUARDED_BY(mutex_) = false;
  bool linger_over_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex_);
  Timer reconnect_ ABSL_GUARDED_BY(mutex_);
  Timer linger_ ABSL_GUARDED_BY(mutex_);
  Timer watchdog_ ABSL_GUARDED_BY(mutex_);
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t connections_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keystead
