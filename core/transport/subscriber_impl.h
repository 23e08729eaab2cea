// Inside of Subscriber.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/hop_channel.h"
#include "core/transport/subscriber.h"
#include "core/transport/timer.h"
#include "keystead/v1/transport.grpc.pb.h"

namespace keystead {

// One call. The flags are guarded by the subscriber's lock.
struct SubscribeStream final : public grpc::ClientReadReactor<v1::SubscribeResponse> {
  explicit SubscribeStream(std::shared_ptr<Subscriber::Impl> owner) : impl(std::move(owner)) {}
  void Open(v1::Transport::Stub& stub);
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  const std::shared_ptr<Subscriber::Impl> impl;
  grpc::ClientContext context;
  v1::SubscribeRequest request;
  v1::SubscribeResponse response;
  std::vector<Topic> topics;    // by index in the request
  std::vector<bool> announced;  // topics whose first message has come; touched by the reaction only
  bool reading = true;
  bool released = false;  // the hold is, or is about to be, removed
  bool done = false;
  bool protocol_error = false;
};

class Subscriber::Impl : public std::enable_shared_from_this<Subscriber::Impl> {
 public:
  Impl(HopChannel channel, SubscriberCallbacks callbacks, const SubscriberOptions& options)
      : callbacks_(std::move(callbacks)),
        options_(options),
        channel_(std::move(channel)),
        backoff_(options.backoff, options.random) {}

  void Start();
  void Stop();
  absl::Status Add(std::vector<SubscriberTopic>&& topics);
  void Remove(std::span<const Topic> topics);
  void Rewind(const Topic& topic);
  void Pause();
  void Resume();
  std::vector<SubscriberTopic> Positions() const;
  Stats GetStats() const;

  // From the stream. THREAD: gRPC's.
  enum class After { kRead, kWait, kGiveUp };
  After Received(SubscribeStream& stream);
  void ReadEnded(SubscribeStream& stream, bool protocol_error);
  void Closed(SubscribeStream& stream, const grpc::Status& status);

 private:
  SubscribeStream* OpenLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Open(SubscribeStream* stream);
  bool ReleaseLocked(SubscribeStream& stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CancelAndRelease(bool restart);
  bool Deliver(SubscribeStream& stream, v1::TopicEntries& entries);
  void Reconnect();

  const SubscriberCallbacks callbacks_;
  const SubscriberOptions options_;

  mutable absl::Mutex mutex_;
  HopChannel channel_ ABSL_GUARDED_BY(mutex_);
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool restart_ ABSL_GUARDED_BY(mutex_) = false;  // the call ends because topics or positions changed
  int paused_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<Topic, SubscriberTopic> topics_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<SubscribeStream> stream_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<SubscribeStream> finished_ ABSL_GUARDED_BY(mutex_);
  Timer reconnect_ ABSL_GUARDED_BY(mutex_);
  Stats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead
