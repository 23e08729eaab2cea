#include "tests/load/subscription.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>

#include "keystead/v1/transport.pb.h"
#include "tests/load/machine.h"
#include "tests/load/record_form.h"

namespace keystead::load {
namespace {

enum Operation { kStarted, kWritten, kLetIn, kRead, kFinished };

std::string RequestFor(const Household& household, SubscriptionKind kind) {
  v1::SubscribeRequest request;
  request.set_tenant(household.tenant.str());
  request.set_instantiation(household.id.ToString());
  for (const GroupHeader& device : household.devices) {
    v1::TopicPosition* const topic = request.add_topics();
    topic->set_topic(device.topic.str());
    topic->set_only_new(kind == SubscriptionKind::kReads);
  }
  return request.SerializeAsString();
}

}  // namespace

struct Subscription::Call final : public Completion {
  explicit Call(Subscription* of) : subscription(of) {
    for (int operation = kStarted; operation <= kFinished; ++operation) tags[operation] = {this, operation};
  }
  void Start() {
    grpc::GenericStub stub(subscription->channel_);
    stream = stub.PrepareCall(&context, "/keystead.v1.Transport/Subscribe", subscription->core_->cq);
    stream->StartCall(&tags[kStarted]);
  }
  void Done(int operation, bool ok) override {
    switch (operation) {
      case kStarted: {
        if (!ok) return Finish();
        const grpc::Slice slice(subscription->request_);
        return stream->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), &tags[kWritten]);
      }
      case kWritten:
        if (!ok) return Finish();
        if (subscription->kind_ != SubscriptionKind::kNeverReads || cancelled)
          return stream->Read(&message, &tags[kRead]);
        return stream->ReadInitialMetadata(&tags[kLetIn]);
      case kLetIn:
        if (ok) LetIn();
        if (!ok || cancelled) return stream->Read(&message, &tags[kRead]);  // which says that it is over
        waiting = true;                                                     // for Cancel
        return;
      case kRead:
        if (!ok) return Finish();
        LetIn();
        if (subscription->kind_ == SubscriptionKind::kChurns) Cancel();
        if (subscription->kind_ == SubscriptionKind::kReads) subscription->Take(message);
        message.Clear();
        return stream->Read(&message, &tags[kRead]);
      default:
        return subscription->Ended(status);  // destroys this
    }
  }
  void LetIn() {
    if (!std::exchange(let_in, true)) ++subscription->times_let_in_;
  }
  void Cancel() {
    cancelled = true;
    context.TryCancel();
    if (std::exchange(waiting, false)) stream->Read(&message, &tags[kRead]);
  }
  void Finish() { stream->Finish(&status, &tags[kFinished]); }

  Subscription* const subscription;
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  grpc::ByteBuffer message;
  grpc::Status status;
  bool waiting = false;
  bool cancelled = false;
  bool let_in = false;
  Tag tags[kFinished + 1];
};

Subscription::Subscription(EngineCore* core, std::shared_ptr<grpc::Channel> channel,
                           const Household& household, SubscriptionKind kind, int64_t pause_ns)
    : core_(core),
      channel_(std::move(channel)),
      kind_(kind),
      pause_ns_(pause_ns),
      request_(RequestFor(household, kind)) {}
Subscription::~Subscription() = default;

bool Subscription::let_in() const { return call_ != nullptr && call_->let_in; }

void Subscription::Open() {
  if (call_ != nullptr || closing_) return;
  ++opened_;
  call_ = std::make_unique<Call>(this);
  call_->Start();
}

void Subscription::Close() {
  closing_ = true;
  if (call_ != nullptr) call_->Cancel();
}

void Subscription::Take(const grpc::ByteBuffer& message) {
  grpc::ByteBuffer bytes(message);
  v1::SubscribeResponse response;
  if (!grpc::SerializationTraits<v1::SubscribeResponse>::Deserialize(&bytes, &response).ok()) return;
  const int64_t now = NowNs();
  for (const v1::TopicEntries& topic : response.topics()) {
    for (const std::string& group : topic.groups()) {
      const absl::StatusOr<GroupView> view = GroupView::Parse(group, headers_);
      if (!view.ok() || core_->recorder == nullptr) continue;
      for (const RecordView& record : view->records()) {
        if (const auto stamp = StampOf(record.cose)) core_->recorder->Delivered(*stamp, now);
      }
    }
  }
}

void Subscription::Ended(const grpc::Status& status) {
  const bool ours = call_->cancelled;
  const int code = static_cast<int>(status.error_code());
  call_.reset();
  if (closing_) return;
  if (!ours) ++refused_[code];
  core_->WakeAt(NowNs() + pause_ns_, [this](int64_t) { Open(); });
}

}  // namespace keystead::load
