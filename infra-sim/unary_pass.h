// One unary call carried through, with the messages in it shown to the attacks as records of a pseudo-topic.
#pragma once

#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "infra-sim/hop.h"

namespace keystead::infra {

// What the engine made of the messages of one call.
struct UnaryPlan {
  struct Out {
    v1::StreamHeader header;
    std::string message;
    std::vector<uint64_t> injections;
    bool extra = false;
  };
  std::vector<Out> messages;
  bool attacked = false;   // otherwise pass everything on as it is
  bool withhold = false;   // ATTACK_DROP: neither forwarded nor answered
  absl::Duration give_up;  // of withhold: then UNAVAILABLE; zero: when the caller gives up
  absl::Duration delay;
};

// Shows `messages` to the engine, as records `first_sequence` and on of `header`.
UnaryPlan PlanUnary(const Hop& hop, Direction direction, const v1::StreamHeader& header,
                    uint64_t first_sequence, const std::vector<std::string>& messages);

// The call itself. `Request` and `Response` are the messages of the service.
template <class Request, class Response>
class UnaryCall : public std::enable_shared_from_this<UnaryCall<Request, Response>> {
 public:
  using Done = std::function<void(grpc::Status)>;
  struct Shape {
    // What goes up: the first request is the one whose answer the caller gets. Empty: ACK_AND_DROP.
    std::function<UnaryPlan(const Request&)> plan;
    std::function<Request(const Request&, const UnaryPlan::Out&)> rebuild;
    std::function<void(const Request&, Response&)> fabricate;  // the answer to ACK_AND_DROP
    std::function<UnaryPlan(const Request&, Response&)> edit;  // the answer; may change it
    std::function<void(grpc::ClientContext*, const Request*, Response*, Done)> call;
  };

  UnaryCall(const Hop& hop, Shape shape) : token_(hop.calls), hop_(hop), shape_(std::move(shape)) {}

  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext& context, const Request& request,
                                  Response* response) {
    deadline_ = context.deadline();
    request_ = request;
    response_ = response;
    auto* const reactor = new Reactor(this->shared_from_this());
    reactor_ = reactor;
    plan_ = shape_.plan(request_);
    if (plan_.withhold) {
      if (plan_.give_up > absl::ZeroDuration()) {
        Later(plan_.give_up,
              [](UnaryCall& call) { call.Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "try again")); });
      }
      return reactor;
    }
    Later(plan_.delay, [](UnaryCall& call) { call.Forward(); });
    return reactor;
  }

 private:
  class Reactor final : public grpc::ServerUnaryReactor {
   public:
    explicit Reactor(std::shared_ptr<UnaryCall> call) : call_(std::move(call)) {}
    void OnCancel() override { call_->Cancelled(); }
    void OnDone() override { delete this; }

   private:
    const std::shared_ptr<UnaryCall> call_;
  };
  // One request to the next hop with what gRPC needs to outlive it.
  struct Sent {
    grpc::ClientContext context;
    Request request;
    Response response;
  };

  template <class Run>
  void Later(absl::Duration delay, const Run& run) {
    if (delay <= absl::ZeroDuration()) return run(*this);
    hop_.timer->After(delay, [weak = this->weak_from_this(), run] {
      if (const auto call = weak.lock(); call != nullptr) run(*call);
    });
  }

  void Forward() {
    if (!plan_.attacked) return Send(request_, true);
    bool answered = false;
    for (const UnaryPlan::Out& out : plan_.messages) {
      Send(shape_.rebuild(request_, out), !answered, out.injections);
      answered = true;
    }
    if (answered) return;
    shape_.fabricate(request_, *response_);
    Finish(grpc::Status::OK);
  }

  void Send(Request request, bool answers, const std::vector<uint64_t>& injections = {}) {
    auto owned = std::make_unique<Sent>();
    Sent* const sent = owned.get();
    sent->request = std::move(request);
    sent->context.set_deadline(deadline_);
    {
      absl::MutexLock lock(&mutex_);
      if (cancelled_) return;
      sent_.push_back(std::move(owned));
    }
    shape_.call(&sent->context, &sent->request, &sent->response,
                [call = this->shared_from_this(), sent, answers, injections](const grpc::Status& status) {
                  if (!status.ok() && !injections.empty()) {
                    call->hop_.engine->NoteRefusal(injections, status.error_code(), status.error_message());
                  }
                  if (answers) call->Answered(status, sent->response);
                });
  }

  void Answered(const grpc::Status& status, Response& response) {
    absl::Duration delay;
    if (status.ok()) {
      delay = shape_.edit(request_, response).delay;
      absl::MutexLock lock(&mutex_);
      if (finished_) return;
      *response_ = std::move(response);
    }
    Later(delay, [status](UnaryCall& call) { call.Finish(status); });
  }

  void Cancelled() {
    {
      absl::MutexLock lock(&mutex_);
      cancelled_ = true;
      for (const auto& sent : sent_) sent->context.TryCancel();
    }
    Finish(grpc::Status::CANCELLED);
  }

  void Finish(const grpc::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      if (finished_) return;
      finished_ = true;
    }
    reactor_->Finish(status);
  }

  const CallGauge::Token token_;
  const Hop& hop_;
  const Shape shape_;
  std::chrono::system_clock::time_point deadline_;
  Request request_;
  Response* response_ = nullptr;  // gRPC's, until Finish
  Reactor* reactor_ = nullptr;
  UnaryPlan plan_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Sent>> sent_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace keystead::infra
