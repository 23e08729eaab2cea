#include "tests/unit/member/test_rendezvous.h"

#include <utility>

#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead::testing {
namespace {

grpc::Status TakeFirst(std::deque<grpc::StatusCode>& failures) {
  const grpc::StatusCode code = failures.front();
  failures.pop_front();
  return {code, "as asked"};
}

}  // namespace

grpc::Status TestRendezvous::Put(grpc::ServerContext*, const v1::PutRequest* request, v1::PutResponse*) {
  absl::MutexLock lock(&mutex_);
  ++puts_;
  if (const auto wait = std::exchange(put_wait_, std::nullopt); wait.has_value())
    return ToPeer(LimitReached("mailboxes", *wait));
  if (!put_failures_.empty()) return TakeFirst(put_failures_);
  boxes_[request->box()].push_back(request->message());
  return grpc::Status::OK;
}

grpc::Status TestRendezvous::Await(grpc::ServerContext* context, const v1::AwaitRequest* request,
                                   v1::AwaitResponse* response) {
  absl::MutexLock lock(&mutex_);
  ++awaits_;
  const absl::Time until = absl::Now() + absl::Seconds(1);
  const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !failures_.empty() || boxes_[request->box()].size() > request->after();
  };
  while (!ready() && absl::Now() < until && !context->IsCancelled())
    mutex_.AwaitWithTimeout(absl::Condition(&ready), absl::Milliseconds(20));
  if (!failures_.empty()) return TakeFirst(failures_);
  const std::vector<std::string>& box = boxes_[request->box()];
  if (box.size() <= request->after()) return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "nothing yet");
  for (size_t i = request->after(); i < box.size(); ++i) response->add_messages(box[i]);
  return grpc::Status::OK;
}

void TestRendezvous::Drop(const std::string& message_box, const std::string& message) {
  absl::MutexLock lock(&mutex_);
  boxes_[message_box].push_back(message);
}

void TestRendezvous::Lose() {
  absl::MutexLock lock(&mutex_);
  boxes_.clear();
}

void TestRendezvous::FailNextAwait(grpc::StatusCode code) {
  absl::MutexLock lock(&mutex_);
  failures_.push_back(code);
}

void TestRendezvous::FailNextPuts(int times, grpc::StatusCode code) {
  absl::MutexLock lock(&mutex_);
  put_failures_.insert(put_failures_.end(), times, code);
}

void TestRendezvous::AskNextPutToWait(absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  put_wait_ = wait;
}

uint64_t TestRendezvous::puts() const {
  absl::MutexLock lock(&mutex_);
  return puts_;
}

uint64_t TestRendezvous::awaits() const {
  absl::MutexLock lock(&mutex_);
  return awaits_;
}

size_t TestRendezvous::failures_to_come() const {
  absl::MutexLock lock(&mutex_);
  return failures_.size();
}

std::vector<std::string> TestRendezvous::Box(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  const auto at = boxes_.find(name);
  return at == boxes_.end() ? std::vector<std::string>() : at->second;
}

}  // namespace keystead::testing
