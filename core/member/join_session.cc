#include "core/member/join_session.h"

#include <thread>

#include "core/membership/signed_object.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/rendezvous.grpc.pb.h"

namespace keystead {
namespace {

constexpr absl::Duration kAwait = absl::Seconds(20);
constexpr absl::Duration kUnary = absl::Seconds(10);
constexpr absl::Duration kRetry = absl::Milliseconds(500);
constexpr absl::Duration kAnnounceAgain = absl::Minutes(5);  // mailboxes are emptied after ten

class Session {
 public:
  explicit Session(const JoinSessionOptions& options)
      : options_(options), responder_(*options.responder), stub_(v1::Rendezvous::NewStub(options.channel)) {}

  absl::Status Run() {
    if (responder_.state() == JoinResponder::State::kUnowned) {
      KS_RETURN_IF_ERROR(responder_.Arm(options_.boot, options_.clock->Uptime()));
      KS_RETURN_IF_ERROR(options_.store(responder_.Serialize()));
      Tell("armed");
    }
    armed_at_ = options_.clock->Uptime();
    KS_ASSIGN_OR_RETURN(m1_box_, responder_.m1_box());
    KS_ASSIGN_OR_RETURN(m2_box_, responder_.m2_box());
    while (!options_.stop()) {
      const bool offered = responder_.state() == JoinResponder::State::kOffered;
      const absl::Duration patience = offered ? kOfferedFor : kArmedFor;
      if (options_.clock->Uptime() - armed_at_ > patience) {
        return absl::DeadlineExceededError("nobody paired this device in time: arm it again");
      }
      KS_RETURN_IF_ERROR(AnnounceWhenDue());
      KS_RETURN_IF_ERROR(AwaitM1());
    }
    return absl::OkStatus();
  }

 private:
  void Tell(std::string_view event) {
    if (options_.on_event) options_.on_event(event);
  }

  absl::Status Put(const MailboxName& box, ByteView message) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kUnary));
    context.set_wait_for_ready(true);
    v1::PutRequest request;
    request.set_box(box.ToString());
    request.set_message(message.data(), message.size());
    v1::PutResponse response;
    return FromGrpc(stub_->Put(&context, request, &response));
  }

  void Pause() const { std::this_thread::sleep_for(absl::ToChronoMilliseconds(kRetry)); }

  absl::Status AnnounceWhenDue() {
    const absl::Duration now = options_.clock->Uptime();
    if (announced_ && now - announced_at_ < kAnnounceAgain) return absl::OkStatus();
    KS_ASSIGN_OR_RETURN(const MailboxName box, responder_.announcement_box());
    const absl::Status put = Put(box, responder_.announcement());
    if (!put.ok()) {
      Log(LogLevel::kInfo, "announce_retry", {{"reason", Std(put.message())}});
      Pause();
      return absl::OkStatus();
    }
    if (!announced_) Tell("announced");
    announced_ = true;
    announced_at_ = now;
    return absl::OkStatus();
  }

  absl::Status AwaitM1() {
    if (!announced_) return absl::OkStatus();
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kAwait));
    context.set_wait_for_ready(true);
    v1::AwaitRequest request;
    request.set_box(m1_box_.ToString());
    request.set_after(seen_);
    v1::AwaitResponse response;
    const absl::Status got = FromGrpc(stub_->Await(&context, request, &response));
    if (got.code() == absl::StatusCode::kDeadlineExceeded) return absl::OkStatus();
    if (!got.ok()) {
      seen_ = 0;  // the hop may have restarted and lost its boxes
      announced_ = false;
      Pause();
      return absl::OkStatus();
    }
    for (const std::string& message : response.messages()) {
      ++seen_;
      KS_RETURN_IF_ERROR(Handle(AsBytes(message)));
    }
    return absl::OkStatus();
  }

  absl::Status Handle(ByteView m1) {
    const absl::StatusOr<Bytes> m2 = responder_.HandleM1(m1, options_.boot, options_.clock->Uptime());
    if (m2.ok()) {
      KS_RETURN_IF_ERROR(options_.store(responder_.Serialize()));
      const absl::Status put = Put(m2_box_, *m2);
      if (!put.ok()) Log(LogLevel::kInfo, "m2_not_delivered", {{"reason", Std(put.message())}});
      Tell("offered");
      options_.on_offer(*responder_.offer());
      return absl::OkStatus();
    }
    Report({.kind = SecurityEventKind::kJoinRefused, .detail = std::string(Std(m2.status().message()))});
    if (m2.status().code() != absl::StatusCode::kAborted) return absl::OkStatus();
    KS_RETURN_IF_ERROR(options_.store(responder_.Serialize()));
    Tell("contested");
    return m2.status();
  }

  const JoinSessionOptions& options_;
  JoinResponder& responder_;
  const std::unique_ptr<v1::Rendezvous::Stub> stub_;
  MailboxName m1_box_;
  MailboxName m2_box_;
  absl::Duration armed_at_;
  absl::Duration announced_at_;
  bool announced_ = false;
  uint32_t seen_ = 0;
};

}  // namespace

absl::Status RunJoinSession(const JoinSessionOptions& options) { return Session(options).Run(); }

}  // namespace keystead
