#include "core/member/claim_watch.h"

#include <grpcpp/client_context.h>

#include "core/crypto/hash.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {

constexpr absl::Duration kCall = absl::Seconds(2);
constexpr size_t kMaxReported = 64;  // in one boot; whoever does it more often has been told of

}  // namespace

struct ClaimWatch::Call {
  grpc::ClientContext context;
  v1::AwaitRequest request;
  v1::AwaitResponse response;
  bool over = false;
};

ClaimWatch::ClaimWatch(Options options, absl::Duration uptime)
    : options_(std::move(options)),
      next_(uptime + options_.first + options_.every * (options_.box.view()[0] / 256.0)) {}

ClaimWatch::~ClaimWatch() {
  absl::MutexLock lock(&mutex_);
  if (call_ == nullptr) return;
  call_->context.TryCancel();
  mutex_.Await(absl::Condition(&call_->over));
}

void ClaimWatch::Know(const Digest& message) {
  absl::MutexLock lock(&mutex_);
  seen_.insert(message);
}

size_t ClaimWatch::reported() const {
  absl::MutexLock lock(&mutex_);
  return reported_;
}

void ClaimWatch::Tick(absl::Duration uptime) {
  Call* call = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (uptime < next_ || reported_ >= kMaxReported || (call_ != nullptr && !call_->over)) return;
    next_ = uptime + options_.every;
    call_ = std::make_unique<Call>();
    call = call_.get();
  }
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + kCall));
  call->request.set_box(options_.box.ToString());
  v1::Rendezvous::Stub(options_.channel.get())
      .async()
      ->Await(&call->context, &call->request, &call->response,
              [this](const grpc::Status& status) { Done(status.ok()); });
}

// THREAD: gRPC's.
void ClaimWatch::Done(bool ok) {
  absl::MutexLock lock(&mutex_);
  if (ok) {
    for (const std::string& message : call_->response.messages()) {
      if (reported_ >= kMaxReported || !seen_.insert(crypto::Sha256(AsBytes(message))).second) continue;
      ++reported_;
      Report(
          {.kind = SecurityEventKind::kJoinRefused,
           .tenant = options_.tenant,
           .peer = options_.device,
           .detail = reported_ < kMaxReported
                         ? "somebody with the label of this device, which has an owner, tries to pair it"
                         : "so many tries to pair this device, which has an owner, that no more are told"});
    }
  }
  call_->over = true;
}

}  // namespace keystead
