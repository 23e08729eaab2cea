#include "core/transport/transport_service.h"

#include <utility>
#include <vector>

#include "core/transport/publish_call.h"
#include "core/transport/service_core.h"
#include "core/transport/subscribe_call.h"
#include "keystead/v1/transport.grpc.pb.h"

namespace keystead {

// Publish with messages, Subscribe with bytes: what it sends is not built as a message first.
class TransportService::Impl final
    : public v1::Transport::WithCallbackMethod_Publish<
          v1::Transport::WithRawCallbackMethod_Subscribe<v1::Transport::Service>> {
 public:
  Impl(Hop* hop, RecordLog* log, Executor* executor, const TransportServiceOptions& options)
      : core_(std::make_shared<ServiceCore>()) {
    core_->hop = hop;
    core_->log = log;
    core_->executor = executor;
    core_->options = options;
  }

  grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* Publish(
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

TransportService::TransportService(Hop* hop, RecordLog* log, Executor* executor,
                                   const TransportServiceOptions& options)
    : impl_(std::make_shared<Impl>(hop, log, executor, options)) {}
TransportService::~TransportService() = default;

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
  {
    absl::MutexLock lock(&impl_->core().mutex);
    impl_->core().stopped = true;
  }
  EndCalls([](const OpenCall&) { return true; }, absl::UnavailableError("stopping"));
}

TransportServiceStats TransportService::GetStats() const {
  const auto get = [](const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  const ServiceCore::Counters& c = impl_->core().counters;
  return {get(c.publish_calls), get(c.subscribe_calls), get(c.requests),   get(c.groups_in), get(c.acks),
          get(c.refusals),      get(c.messages_out),    get(c.groups_out), get(c.bytes_out)};
}

}  // namespace keystead
