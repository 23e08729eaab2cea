#include "infra-sim/publish_pass.h"

#include <utility>

#include "absl/time/clock.h"
#include "infra-sim/publish_call.h"

namespace keystead::infra {

class PublishCall::Down final : public grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse> {
 public:
  explicit Down(std::shared_ptr<PublishCall> call) : call_(std::move(call)) {}
  void OnReadDone(bool ok) override { call_->DownRead(ok); }
  void OnWriteDone(bool ok) override { call_->DownWritten(ok); }
  void OnCancel() override { call_->DownCancelled(); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<PublishCall> call_;
};

class PublishCall::Up final : public grpc::ClientBidiReactor<v1::PublishRequest, v1::PublishResponse> {
 public:
  explicit Up(std::shared_ptr<PublishCall> call) : call_(std::move(call)) {}
  void OnReadDone(bool ok) override { call_->UpRead(ok); }
  void OnWriteDone(bool ok) override { call_->UpWritten(ok); }
  void OnDone(const grpc::Status& status) override {
    call_->UpDone(status);
    delete this;
  }

 private:
  const std::shared_ptr<PublishCall> call_;
};

grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* PublishCall::Start(
    grpc::CallbackServerContext& context) {
  down_ = new Down(shared_from_this());
  up_ = new Up(shared_from_this());
  Down* const reactor = down_;
  up_context_.set_deadline(context.deadline());
  upstream_->transport->async()->Publish(&up_context_, up_);
  absl::MutexLock lock(&mutex_);
  up_->AddHold();  // for what the sender's reactions start
  up_->StartRead(&up_reading_);
  up_->StartCall();
  down_reading_ = true;
  down_->StartRead(&reading_);
  return reactor;
}

void PublishCall::DownRead(bool ok) {
  absl::MutexLock lock(&mutex_);
  down_reading_ = false;
  if (ok) {
    Take(std::exchange(reading_, {}));
  } else {
    down_closed_ = true;
    ReleaseHeldNow();
  }
  PumpUp();
}

void PublishCall::Take(v1::PublishRequest request) {
  for (const std::string& group : request.groups())
    hop_.engine->Observe(hop_.listener, Direction::kUp, group);
  const uint64_t number = ledger_.Received();
  if (!hop_.engine->armed() && held_.empty()) {
    Message& message = queue_.emplace_back();
    message.request = std::move(request);
    message.whole = number;
    return;
  }
  Attack(number, request);
}

void PublishCall::PumpUp() {
  if (!up_closed_ && !writing_.has_value() && !queue_.empty()) {
    const absl::Duration wait = queue_.front().not_before - absl::Now();
    if (wait <= absl::ZeroDuration()) {
      writing_.emplace(std::move(queue_.front()));
      queue_.pop_front();
      ledger_.Sent(std::move(writing_->origins), writing_->whole);
      up_->StartWrite(&writing_->request);
    } else {
      WakeAfter(wait);
    }
  }
  if (down_closed_ && queue_.empty() && held_.empty() && !writing_.has_value() && !up_closed_ &&
      !up_half_closed_) {
    up_half_closed_ = true;
    up_->StartWritesDone();
  }
  if (!down_reading_ && !down_closed_ && !finished_ && queue_.size() < kQueuedRequests) {
    down_reading_ = true;
    down_->StartRead(&reading_);
  }
}

void PublishCall::WakeAfter(absl::Duration delay) {
  hop_.timer->After(delay, [weak = weak_from_this()] {
    const auto call = weak.lock();
    if (call == nullptr) return;
    absl::MutexLock lock(&call->mutex_);
    call->PumpUp();
  });
}

void PublishCall::UpWritten(bool /*ok*/) {
  // A failed write ends the call; its status comes with UpDone.
  absl::MutexLock lock(&mutex_);
  writing_.reset();
  PumpUp();
}

void PublishCall::UpRead(bool ok) {
  absl::MutexLock lock(&mutex_);
  if (!ok) {
    up_closed_ = true;
    up_->RemoveHold();
    return;
  }
  Answer(ledger_.Acknowledged(up_reading_));
  up_->StartRead(&up_reading_);
}

void PublishCall::Answer(const AckLedger::Answer& answer) {
  for (const AckLedger::InjectionRefused& refused : answer.refused) {
    hop_.engine->NoteRefusal(refused.injections, refused.code, refused.reason);
  }
  if (!answer.news) return;
  pending_answer_.set_durable_requests(answer.response.durable_requests());
  pending_answer_.mutable_refusals()->MergeFrom(answer.response.refusals());
  answer_pending_ = true;
  PumpDown();
}

void PublishCall::PumpDown() {
  if (finished_ || answering_.has_value()) return;
  if (answer_pending_ && !down_broken_) {
    answering_.emplace(std::exchange(pending_answer_, {}));
    // Answers are cumulative: a later one that carries only refusals must not fall back to zero.
    pending_answer_.set_durable_requests(answering_->durable_requests());
    answer_pending_ = false;
    down_->StartWrite(&*answering_);
    return;
  }
  if (!up_status_.has_value()) return;
  finished_ = true;
  down_->Finish(forced_status_.value_or(*up_status_));
}

void PublishCall::DownWritten(bool ok) {
  absl::MutexLock lock(&mutex_);
  answering_.reset();
  if (!ok) down_broken_ = true;
  PumpDown();
}

void PublishCall::DownCancelled() { up_context_.TryCancel(); }

void PublishCall::UpDone(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  up_closed_ = true;
  up_status_ = status;
  PumpDown();
}

grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* StartPublishPass(
    const Hop& hop, const Upstream* upstream, grpc::CallbackServerContext& context) {
  return std::make_shared<PublishCall>(hop, upstream)->Start(context);
}

}  // namespace keystead::infra
