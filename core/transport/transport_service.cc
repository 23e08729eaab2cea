#include "core/transport/transport_service.h"

#include <utility>
#include <vector>

#include "core/transport/publish_call.h"
#include "core/transport/service_core.h"
#include "core/transport/subscribe_call.h"
#include "keystead/v1/transport.grpc.pb.h"

namespace keystead {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr Metric kCalls = {
    "keystead_hop_open_calls", "Calls of Publish and Subscribe that are open.", MetricType::kGauge, {"rpc"}};
constexpr Metric kRequests = {"keystead_hop_requests_total", "Requests of publishers.", kCounter};
constexpr Metric kGroupsIn = {"keystead_hop_received_groups_total", "Groups of records in them.", kCounter};
constexpr Metric kAcks = {"keystead_hop_acknowledgements_total", "Acknowledgements sent to them.", kCounter};
constexpr Metric kRefused = {"keystead_hop_refused_groups_total",
                             "Runs of records that were not stored, by what their publisher was told.",
                             kCounter,
                             {"code"}};
constexpr Metric kMessages = {"keystead_hop_sent_messages_total", "Messages to subscribers.", kCounter};
constexpr Metric kGroupsOut = {"keystead_hop_sent_groups_total", "Groups of records in them.", kCounter};
constexpr Metric kBytesOut = {"keystead_hop_sent_bytes_total", "Bytes of them.", kCounter};
constexpr Metric kAcknowledged = {"keystead_hop_publish_ack_seconds",
                                  "From reading a request until what acknowledges it, durable, is sent.",
                                  MetricType::kHistogram};
constexpr Metric kDelivered = {"keystead_hop_delivery_seconds",
                               "From a commit that a subscriber waits for until it is sent to it.",
                               MetricType::kHistogram};

void Collect(const ServiceCore& core, MetricWriter& out) {
  const auto get = [](const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  const ServiceCore::Counters& c = core.counters;
  out.Value(kCalls, get(c.publish_calls), {"publish"});
  out.Value(kCalls, get(c.subscribe_calls), {"subscribe"});
  out.Value(kRequests, get(c.requests));
  out.Value(kGroupsIn, get(c.groups_in));
  out.Value(kAcks, get(c.acks));
  for (int code = 1; code < kStatusCodes; ++code) {
    const auto as_code = static_cast<absl::StatusCode>(code);
    if (as_code == absl::StatusCode::kUnknown) continue;
    out.Value(kRefused, get(c.refusals_by_code.at(static_cast<size_t>(code))), {CodeName(as_code)});
  }
  out.Value(kMessages, get(c.messages_out));
  out.Value(kGroupsOut, get(c.groups_out));
  out.Value(kBytesOut, get(c.bytes_out));
  out.Times(kAcknowledged, core.acknowledged.Read());
  out.Times(kDelivered, core.delivered.Read());
}

}  // namespace

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
  const MetricSource metrics_{[this](MetricWriter& out) { Collect(*core_, out); }};
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
