// One question to each of several processes, all at once, so that whoever is silent holds nobody up.
#pragma once

#include <grpcpp/client_context.h>

#include <algorithm>
#include <deque>
#include <functional>

#include "absl/status/status.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/time.h"
#include "core/transport/status_mapping.h"

namespace keystead::console {

// `Service` as protoc names it: v1::Observer.
template <class Service, class Request, class Response>
struct Question {
  typename Service::Stub* to = nullptr;  // null: nobody is asked, and `status` stays as it is
  Request request;
  Response response;
  absl::Status status;
  grpc::ClientContext context;
};

template <class Service, class Request, class Response>
using AsyncMethod = void (Service::StubInterface::async_interface::*)(grpc::ClientContext*, const Request*,
                                                                      Response*,
                                                                      std::function<void(grpc::Status)>);

// Blocks until all have answered, or the deadline is over.
template <class Service, class Request, class Response>
void AskAll(std::deque<Question<Service, Request, Response>>& questions,
            AsyncMethod<Service, Request, Response> method, absl::Time deadline) {
  const auto asked = std::count_if(questions.begin(), questions.end(),
                                   [](const auto& question) { return question.to != nullptr; });
  absl::BlockingCounter left(static_cast<int>(asked));
  for (auto& question : questions) {
    if (question.to == nullptr) continue;
    question.context.set_deadline(absl::ToChronoTime(deadline));
    (question.to->async()->*method)(&question.context, &question.request, &question.response,
                                    [&question, &left](const grpc::Status& status) {
                                      question.status = FromGrpc(status);
                                      left.DecrementCount();
                                    });
  }
  left.Wait();
}

}  // namespace keystead::console
