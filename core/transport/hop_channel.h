// The way to a next hop: a channel that can be exchanged for one with another certificate. TLS shows a peer
// one certificate for the life of a connection, so whoever has a new one needs a new connection; which
// connection a gRPC channel uses cannot be chosen any other way.
#pragma once

#include <grpcpp/channel.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keystead {

// A handle: copies mean the same way. Thread-safe. Ask get() for each call.
class HopChannel {
 public:
  HopChannel() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a channel that is never exchanged is one of these.
  HopChannel(std::shared_ptr<grpc::Channel> channel) : state_(std::make_shared<State>()) {
    absl::MutexLock lock(&state_->mutex);
    state_->current = std::move(channel);
  }

  // The reference is never the last one while a handle is left: a channel must not be destroyed in a callback
  // of a call of its own.
  std::shared_ptr<grpc::Channel> get() const {
    absl::MutexLock lock(&state_->mutex);
    return state_->current;
  }

  // Calls that are open go on over the old channel. It is kept until nobody uses it, which is looked at here
  // and in Prune. Not from a callback of gRPC's.
  void Exchange(std::shared_ptr<grpc::Channel> next) {
    {
      absl::MutexLock lock(&state_->mutex);
      state_->retired.push_back(std::exchange(state_->current, std::move(next)));
    }
    Prune();
  }
  void Prune() {
    std::vector<std::shared_ptr<grpc::Channel>> unused;  // destroyed without the lock
    absl::MutexLock lock(&state_->mutex);
    const auto used = [](const std::shared_ptr<grpc::Channel>& channel) { return channel.use_count() > 1; };
    const auto begin = std::partition(state_->retired.begin(), state_->retired.end(), used);
    std::move(begin, state_->retired.end(), std::back_inserter(unused));
    state_->retired.erase(begin, state_->retired.end());
  }

  explicit operator bool() const { return state_ != nullptr; }

 private:
  struct State {
    absl::Mutex mutex;
    std::shared_ptr<grpc::Channel> current ABSL_GUARDED_BY(mutex);
    std::vector<std::shared_ptr<grpc::Channel>> retired ABSL_GUARDED_BY(mutex);
  };
  std::shared_ptr<State> state_;
};

}  // namespace keystead
