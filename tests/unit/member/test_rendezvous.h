// Mailboxes as a hop keeps them, that can be lost and looked into.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "keystead/v1/rendezvous.grpc.pb.h"

namespace keystead::testing {

// Await answers at once where there is something and otherwise holds its thread for a short while.
class TestRendezvous final : public v1::Rendezvous::Service {
 public:
  grpc::Status Put(grpc::ServerContext* context, const v1::PutRequest* request,
                   v1::PutResponse* response) override;
  grpc::Status Await(grpc::ServerContext* context, const v1::AwaitRequest* request,
                     v1::AwaitResponse* response) override;

  void Drop(const std::string& message_box,
            const std::string& message);  // as somebody on the path would put it
  void Lose();                            // as a restarted hop
  // One more call; an earlier one keeps its code.
  void FailNextAwait(grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE);
  size_t failures_to_come() const;
  void FailNextPuts(int times, grpc::StatusCode code);
  void AskNextPutToWait(absl::Duration wait);  // a limit is reached
  uint64_t puts() const;
  uint64_t awaits() const;
  std::vector<std::string> Box(const std::string& name) const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, std::vector<std::string>> boxes_ ABSL_GUARDED_BY(mutex_);
  std::deque<grpc::StatusCode> failures_ ABSL_GUARDED_BY(mutex_);
  std::deque<grpc::StatusCode> put_failures_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> put_wait_ ABSL_GUARDED_BY(mutex_);
  uint64_t puts_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t awaits_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keystead::testing
