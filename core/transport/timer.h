// A shared timer of gRPC's as a value: no thread of its own.
#pragma once

#include <grpc/grpc.h>
#include <grpcpp/alarm.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace keystead {

// Not thread-safe: set and cancel it under the owner's lock. A callback that is already on its way runs
// although the timer was cancelled or set again, with ok == true: it must look at the owner's state.
class Timer {
 public:
  // THREAD of the callback: gRPC's. It must keep its owner alive and must not be called with the owner's lock
  // held.
  void Set(absl::Duration in, std::function<void(bool ok)> callback) {
    // Making an alarm takes gRPC's own lock, here below the owner's. Who is the last to let go of gRPC runs
    // what is still pending under that lock, and our callbacks take the owner's: so nobody is the last.
    [[maybe_unused]] static const bool kept = (grpc_init(), true);
    // A new alarm each time: one must not be set again inside its own callback.
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(absl::ToChronoTime(absl::Now() + in), std::move(callback));
    set_ = true;
  }
  void Cancel() {
    alarm_.reset();  // cancels
    set_ = false;
  }
  void Fired() { set_ = false; }
  bool is_set() const { return set_; }

 private:
  std::unique_ptr<grpc::Alarm> alarm_;
  bool set_ = false;
};

}  // namespace keystead
