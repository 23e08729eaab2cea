#include "core/transport/transport_service.h"

#include <utility>
#include <vector>

#include "core/transport/publish_call.h"
#include "core/transport/service_core.h"
#include "core/transport/subscribe_call.h"
#include "keystead/v1/transport.grpc.pb.h"

namespace keystead {

// Both with bytes: what they send is not built as a message first, and what a publisher sends is not kept as
// one.
class TransportService::Impl final
    : public v1::Transport::WithRawCallbackMethod_Publish<
          v1::Transport::WithRawCallbackMethod_Subscribe<v1::Transport::Service>> {
 public:
  Impl(Hop* hop, RecordLog* log, Executor* executor, const TransportServiceOptions& options)
      : core_(std::make_shared<ServiceCore>()) {
    core_->hop = hop;
    core_->log = log;
    core_->executor = executor;
    core_->options = options;
    absl::MutexLock lock(&core_->mutex);
    core_->RecheckLater(core_);
  }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Publish(
      grpc::CallbackServerContext* context) override {
    return PublishCall::Begin(core_, *context);
  }
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Subscribe(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* request) override {
    return SubscribeCall::Begin(core_, *context, *request);
  }

  ServiceCore& core() { return *core_; }

 private:
  const std::shared_ptr<ServiceCore> core_;
};

void ServiceCore::RecheckLater(const std::shared_ptr<ServiceCore>& self) {
  recheck.Set(options.recheck_interval, [self](bool) {
    absl::MutexLock lock(&self->mutex);
    // Asked and posted under one lock: after StopRechecking the executor may go.
    if (self->stopped) return;
    self->recheck.Fired();
    self->executor->Post([self] { self->Recheck(self); });
  });
}

// THREAD: the executor.
void ServiceCore::Recheck(const std::shared_ptr<ServiceCore>& self) {
  std::vector<Open> all;
  {
    absl::MutexLock lock(&mutex);
    all.reserve(open.size());
    for (const auto& [key, call] : open) all.push_back(call);
  }
  for (const Open& call : all) {
    if (absl::Status status = hop->CheckStillValid(*call.principal); !status.ok()) call.call->End(status);
  }
  absl::MutexLock lock(&mutex);
  if (!stopped) RecheckLater(self);
}

void ServiceCore::StopRechecking() {
  Timer last;
  absl::MutexLock lock(&mutex);
  stopped = true;
  std::swap(last, recheck);
}

TransportService::TransportService(Hop* hop, RecordLog* log, Executor* executor,
                                   const TransportServiceOptions& options)
    : impl_(std::make_shared<Impl>(hop, log, executor, options)) {}
TransportService::~TransportService() { impl_->core().StopRechecking(); }

grpc::Service* TransportService::service() { return impl_.get(); }

size_t TransportService::EndCalls(const std::function<bool(const OpenCall&)>& which,
                                  const absl::Status& status) {
  std::vector<std::shared_ptr<EndableCall>> ending;
  {
    absl::MutexLock lock(&impl_->core().mutex);
    for (const auto& [key, open] : impl_->core().open) {
      if (which({*open.principal, open.demand})) ending.push_back(open.call);
    }
  }
  for (const std::shared_ptr<EndableCall>& call : ending) call->End(status);
  return ending.size();
}

void TransportService::Stop() {
  impl_->core().StopRechecking();
  EndCalls([](const OpenCall&) { return true; }, absl::UnavailableError("stopping"));
}

TransportServiceStats TransportService::GetStats() const {
  const auto get = [](const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  const ServiceCore::Counters& c = impl_->core().counters;
  return {get(c.publish_calls), get(c.subscribe_calls), get(c.requests),   get(c.groups_in), get(c.acks),
          get(c.refusals),      get(c.messages_out),    get(c.groups_out), get(c.bytes_out)};
}

}  // namespace keystead
