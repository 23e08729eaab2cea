// One open Publish on the server.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <vector>

#include "core/transport/service_core.h"
#include "keystead/v1/transport.pb.h"

namespace keystead {

class PublishTask;

// Owned by itself until OnDone, and by the tasks that still have to tell it how they ended. One read and one
// write in flight at most.
class PublishCall final : public grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>,
                          public EndableCall,
                          public std::enable_shared_from_this<PublishCall> {
 public:
  // Starts a call for a new stream; never null.
  static PublishCall* Begin(std::shared_ptr<ServiceCore> core, const grpc::CallbackServerContext& context);

  explicit PublishCall(std::shared_ptr<ServiceCore> core) : core_(std::move(core)) {}

  void End(const absl::Status& status) override;

  // THREAD: gRPC's.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  friend class PublishTask;

  bool ended() const { return ended_.load(std::memory_order_relaxed); }
  std::unique_ptr<PublishTask> TakeRequest();
  // THREAD: the store's writer. Once per task, in order.
  void TaskDone(const absl::Status& status, std::vector<v1::Refusal> refusals, size_t bytes);
  void ScheduleFlush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Flush();
  // What to do after the lock is released.
  enum class Next { kNothing, kWrite, kFinish };
  Next NextLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(Next next);

  const std::shared_ptr<ServiceCore> core_;
  std::shared_ptr<PublishCall> self_;
  std::shared_ptr<const Principal> principal_;
  std::atomic<bool> ended_{false};

  // Of the one read in flight.
  v1::PublishRequest request_;
  GroupHeaderCache headers_;
  uint64_t requests_read_ = 0;

  v1::PublishResponse response_;  // of the one write in flight

  absl::Mutex mutex_;
  absl::Status end_status_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;  // in flight, or about to be on the executor
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;   // not reading because of the limits
  bool starting_read_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_done_ ABSL_GUARDED_BY(mutex_) = false;
  size_t queued_requests_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::Refusal> refusals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead
