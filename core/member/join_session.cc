#include "core/member/join_session.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/limits.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/rendezvous.grpc.pb.h"

namespace keystead {
namespace {

constexpr absl::Duration kAwait = absl::Seconds(20);
constexpr absl::Duration kUnary = absl::Seconds(10);
constexpr absl::Duration kAskStop = absl::Milliseconds(100);
constexpr absl::Duration kAnnounceAgain = absl::Minutes(5);  // mailboxes are emptied after ten
// A hop that fails may have lost its boxes, and is announced to again: after so long, then ever later. In the
// ten minutes of an arming these are 13 at most, and a mailbox takes 16.
constexpr absl::Duration kFirstGap = absl::Seconds(1);
constexpr absl::Duration kLongestGap = absl::Seconds(90);

// One unary call that ends early when the session is to stop.
class StoppableCall {
 public:
  explicit StoppableCall(absl::Duration deadline) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    context_.set_wait_for_ready(true);
  }
  grpc::ClientContext* context() { return &context_; }
  std::function<void(grpc::Status)> Done() {
    return [this](const grpc::Status& status) {
      absl::MutexLock lock(&mutex_);
      status_ = FromGrpc(status);
      done_ = true;
    };
  }
  absl::Status Wait(const std::function<bool()>& stop) {
    bool cancelled = false;
    absl::MutexLock lock(&mutex_);
    while (!mutex_.AwaitWithTimeout(absl::Condition(&done_), kAskStop)) {
      if (cancelled || !stop()) continue;
      context_.TryCancel();
      cancelled = true;
    }
    return status_;
  }

 private:
  grpc::ClientContext context_;
  absl::Mutex mutex_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

class Session {
 public:
  explicit Session(const JoinSessionOptions& options)
      : options_(options),
        mutex_(options.mutex != nullptr ? *options.mutex : own_mutex_),
        responder_(*options.responder),
        retry_(options.retry) {}

  absl::Status Run() {
    KS_RETURN_IF_ERROR(Begin());
    started_at_ = options_.clock->Uptime();
    while (!options_.stop()) {
      const JoinResponder::State state = State();
      if (state == JoinResponder::State::kOwned) return absl::OkStatus();
      const absl::Duration patience = state == JoinResponder::State::kOffered ? kOfferedFor : kArmedFor;
      if (options_.clock->Uptime() - started_at_ > patience) {
        return absl::DeadlineExceededError("nobody paired this device in time: arm it again");
      }
      KS_RETURN_IF_ERROR(AnnounceWhenDue());
      KS_RETURN_IF_ERROR(AwaitM1());
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Begin() {
    bool offered = false;
    {
      absl::MutexLock lock(&mutex_);
      if (responder_.state() == JoinResponder::State::kOwned) return absl::OkStatus();
      offered = responder_.state() == JoinResponder::State::kOffered;
      if (!offered) {
        KS_RETURN_IF_ERROR(responder_.Arm(options_.boot, options_.clock->Uptime()));
        KS_RETURN_IF_ERROR(options_.store(responder_.Serialize()));
      }
      KS_ASSIGN_OR_RETURN(m1_box_, responder_.m1_box());
      KS_ASSIGN_OR_RETURN(m2_box_, responder_.m2_box());
      KS_ASSIGN_OR_RETURN(announcement_box_, responder_.announcement_box());
      announcement_ = responder_.announcement();
    }
    Tell(offered ? "offered" : "armed");
    if (offered) TellOffer();
    return absl::OkStatus();
  }

  JoinResponder::State State() const {
    absl::MutexLock lock(&mutex_);
    return responder_.state();
  }

  void Tell(std::string_view event) {
    if (options_.on_event) options_.on_event(event);
  }

  void TellOffer() {
    const JoinResponder::Offer* offer = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (responder_.offer().has_value()) offer = &*responder_.offer();
    }
    if (offer != nullptr) options_.on_offer(*offer);
  }

  absl::Status Put(const MailboxName& box, ByteView message) {
    StoppableCall call(kUnary);
    v1::PutRequest request;
    request.set_box(box.ToString());
    request.set_message(message.data(), message.size());
    v1::PutResponse response;
    v1::Rendezvous::Stub(options_.channel.get())
        .async()
        ->Put(call.context(), &request, &response, call.Done());
    return call.Wait(options_.stop);
  }

  void Pause(const absl::Status& why) {
    const absl::Time until = absl::Now() + retry_.NextAfter(why);
    while (absl::Now() < until && !options_.stop()) absl::SleepFor(kAskStop);
  }

  absl::Status AnnounceWhenDue() {
    const absl::Duration now = options_.clock->Uptime();
    if (announced_ && now - announced_at_ < (lost_ ? std::max(gap_, asked_) : kAnnounceAgain))
      return absl::OkStatus();
    const absl::Status put = Put(announcement_box_, announcement_);
    if (!put.ok()) Log(LogLevel::kInfo, "announce_retry", {{"reason", Std(put.message())}});
    // A full box holds our announcement already, for only we know its name. Any other limit passes: we
    // listen, and announce once more.
    if (!put.ok() && !absl::IsResourceExhausted(put)) {
      Pause(put);
      return absl::OkStatus();
    }
    asked_ = RetryDelayOf(put).has_value() ? retry_.NextAfter(put) : absl::ZeroDuration();
    if (put.ok() && !std::exchange(told_, true)) Tell("announced");
    announced_ = true;
    announced_at_ = now;
    if (lost_) gap_ = std::min(2 * gap_, kLongestGap);
    lost_ = !put.ok();
    return absl::OkStatus();
  }

  absl::Status AwaitM1() {
    if (!announced_) return absl::OkStatus();
    StoppableCall call(lost_ ? std::min(gap_, kAwait) : kAwait);
    v1::AwaitRequest request;
    request.set_box(m1_box_.ToString());
    request.set_after(seen_);
    v1::AwaitResponse response;
    v1::Rendezvous::Stub(options_.channel.get())
        .async()
        ->Await(call.context(), &request, &response, call.Done());
    // Once owned there is nothing to hear: a hop has few places for calls that wait.
    const absl::Status got =
        call.Wait([this] { return options_.stop() || State() == JoinResponder::State::kOwned; });
    if (State() == JoinResponder::State::kOwned) return absl::OkStatus();
    if (got.code() == absl::StatusCode::kDeadlineExceeded) return absl::OkStatus();
    if (!got.ok()) {
      // The hop may have restarted and lost its boxes, unless it is only busy. What was answered before is
      // not answered anew.
      lost_ = lost_ || got.code() != absl::StatusCode::kResourceExhausted;
      seen_ = 0;
      Pause(got);
      return absl::OkStatus();
    }
    undelivered_ = false;
    for (const std::string& message : response.messages()) {
      ++seen_;
      KS_RETURN_IF_ERROR(Handle(AsBytes(message)));
    }
    if (undelivered_) seen_ = 0;  // the M1 is read again, and answered with the same bytes
    // A hop that answers at once with nothing, or takes no M2, must not make us spin.
    if (undelivered_ || response.messages().empty()) {
      Pause(absl::OkStatus());
    } else {
      retry_.Reset();
    }
    return absl::OkStatus();
  }

  absl::Status Refuse(std::string_view why) {
    Report({.kind = SecurityEventKind::kJoinRefused, .detail = std::string(why)});
    if (++refused_ < limits::kMailboxTries) return absl::OkStatus();
    return absl::ResourceExhaustedError("too many messages that were no answer to the label: arm it again");
  }

  absl::Status Handle(ByteView m1) {
    if (m1.empty() || m1.size() > limits::kMailboxBytes) return Refuse("a message of a wrong size");
    const Digest hash = crypto::Sha256(m1);
    absl::StatusOr<Bytes> m2 = absl::UnknownError("");
    {
      absl::MutexLock lock(&mutex_);
      if (responder_.state() == JoinResponder::State::kOwned) return absl::OkStatus();
      const bool current = responder_.offer().has_value() && responder_.offer()->m1_hash == hash;
      // One that was replaced, or refused, is over: answering it again would replace the newer one.
      if (!current && !handled_.insert(hash).second) return absl::OkStatus();
      handled_.insert(hash);
      m2 = responder_.HandleM1(m1, options_.boot, options_.clock->Uptime());
      if (m2.ok() || m2.status().code() == absl::StatusCode::kAborted) {
        KS_RETURN_IF_ERROR(options_.store(responder_.Serialize()));
      }
    }
    if (m2.status().code() == absl::StatusCode::kAborted) {
      Refuse(Std(m2.status().message())).IgnoreError();
      Tell("contested");
      return m2.status();
    }
    if (!m2.ok()) return Refuse(Std(m2.status().message()));
    const absl::Status put = Put(m2_box_, *m2);
    if (!put.ok()) {
      Log(LogLevel::kInfo, "m2_not_delivered", {{"reason", Std(put.message())}});
      undelivered_ = true;
      return absl::OkStatus();
    }
    Tell("offered");
    TellOffer();
    return absl::OkStatus();
  }

  const JoinSessionOptions& options_;
  mutable absl::Mutex own_mutex_;
  absl::Mutex& mutex_;
  JoinResponder& responder_;
  MailboxName m1_box_;
  MailboxName m2_box_;
  MailboxName announcement_box_;
  Bytes announcement_;
  absl::Duration started_at_;
  absl::Duration announced_at_;
  absl::Duration gap_ = kFirstGap;
  absl::Duration asked_;  // what the hop wants us to wait before the next announcement
  Backoff retry_;
  bool announced_ = false;
  bool lost_ = false;  // the hop may have forgotten what was announced
  bool told_ = false;
  bool undelivered_ = false;  // an M2 in this round
  uint32_t seen_ = 0;
  size_t refused_ = 0;
  std::set<Digest> handled_;  // at most what refusals and a mailbox allow
};

}  // namespace

absl::Status RunJoinSession(const JoinSessionOptions& options) { return Session(options).Run(); }

}  // namespace keystead
