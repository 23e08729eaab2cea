// What every call through a balancer needs: which listener it came in on, who decides about attacks, and the
// next hop of the caller's tenant.
#pragma once

#include <grpcpp/channel.h>

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/ids.h"
#include "core/identity/principal.h"
#include "infra-sim/engine.h"
#include "infra-sim/offsets.h"
#include "infra-sim/timer.h"
#include "keystead/v1/enrollment.grpc.pb.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "keystead/v1/revocation.grpc.pb.h"
#include "keystead/v1/transport.grpc.pb.h"

namespace keystead::infra {

// One tenant's identity and channel towards the next hop, never shared with another tenant.
struct Upstream {
  explicit Upstream(std::shared_ptr<grpc::Channel> to)
      : channel(std::move(to)),
        transport(v1::Transport::NewStub(channel)),
        registry(v1::Registry::NewStub(channel)),
        rendezvous(v1::Rendezvous::NewStub(channel)),
        enrollment(v1::Enrollment::NewStub(channel)),
        revocation(v1::Revocation::NewStub(channel)) {}
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Transport::Stub> transport;
  const std::unique_ptr<v1::Registry::Stub> registry;
  const std::unique_ptr<v1::Rendezvous::Stub> rendezvous;
  const std::unique_ptr<v1::Enrollment::Stub> enrollment;
  const std::unique_ptr<v1::Revocation::Stub> revocation;
};

// Counts calls under way, so that a channel is never destroyed by the last of them inside a callback.
class CallGauge {
 public:
  void WaitForNone() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](int* calls) { return *calls == 0; }, &calls_));
  }
  // Hold one as the first member of a call: what the call owns is gone when it is given back.
  class Token {
   public:
    explicit Token(CallGauge* gauge) : gauge_(gauge) { gauge_->Change(1); }
    ~Token() { gauge_->Change(-1); }
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;

   private:
    CallGauge* const gauge_;
  };

 private:
  void Change(int by) {
    absl::MutexLock lock(&mutex_);
    calls_ += by;
  }
  absl::Mutex mutex_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Immutable but for the gauge and the offsets; it and everything pointed to outlive the calls.
struct Hop {
  std::string listener;
  AttackEngine* engine = nullptr;
  Timer* timer = nullptr;
  const PrincipalResolver* resolver = nullptr;
  CallGauge* calls = nullptr;
  OffsetShifts* offsets = nullptr;
  std::map<TenantName, std::unique_ptr<const Upstream>> upstreams;
};

}  // namespace keystead::infra
