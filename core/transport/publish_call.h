// One open Publish on the server.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "core/transport/publish_request.h"
#include "core/transport/service_core.h"
#include "core/transport/timer.h"

namespace keystead {

class PublishTask;

// Owned by itself until OnDone, and by the tasks that still have to tell it how they ended. One read and one
// write in flight at most.
class PublishCall final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                          public EndableCall,
                          public std::enable_shared_from_this<PublishCall> {
 public:
  // Starts a call for a new stream; never null.
  static PublishCall* Begin(std::shared_ptr<ServiceCore> core, grpc::CallbackServerContext& context);

  PublishCall(std::shared_ptr<ServiceCore> core, grpc::CallbackServerContext& context)
      : core_(std::move(core)), context_(context) {}

  void End(const absl::Status& status) override;

  // THREAD: gRPC's.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  friend class PublishTask;

  bool ended() const { return ended_.load(std::memory_order_relaxed); }
  absl::StatusOr<std::unique_ptr<PublishTask>> TakeRequest();
  void ReportMalformed(uint64_t groups, const absl::Status& why);
  void TellIfMuch(size_t bytes);
  void TaskDropped(size_t bytes);  // on its way to the store
  // THREAD: the store's writer. Once per task, in order.
  void TaskDone(const absl::Status& status, std::vector<GroupRefused> refusals, size_t bytes);
  void ScheduleFlush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Flush();
  // What to do after the lock is released.
  enum class Next { kNothing, kWrite, kFinish };
  Next NextLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FillResponseLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoomLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether to read again after a pause: then `Go` does it.
  bool ResumeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(Next next);
  void Go(Next next, bool read);
  void CancelUnread();

  const std::shared_ptr<ServiceCore> core_;
  grpc::CallbackServerContext& context_;  // until OnDone
  std::shared_ptr<PublishCall> self_;
  std::shared_ptr<const Principal> principal_;
  Hop::Place place_;  // until OnDone
  RecordSource source_;
  std::atomic<bool> ended_{false};

  // Of the one read in flight.
  grpc::ByteBuffer request_;
  GroupHeaderCache headers_;
  uint64_t requests_read_ = 0;
  absl::Duration told_since_ = -absl::InfiniteDuration();  // when the window began; as bytes in it
  size_t told_bytes_ = 0;
  bool told_ = false;  // in this window

  grpc::ByteBuffer response_;  // of the one write in flight

  absl::Mutex mutex_;
  absl::Status end_status_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;     // in flight, or about to be on the executor
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;      // not reading because of the limits
  bool submitting_ ABSL_GUARDED_BY(mutex_) = false;  // the hop is being asked to take a task
  bool dropped_ ABSL_GUARDED_BY(mutex_) = false;
  bool starting_read_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelling_ ABSL_GUARDED_BY(mutex_) = false;
  Timer unread_ ABSL_GUARDED_BY(mutex_);
  bool reads_done_ ABSL_GUARDED_BY(mutex_) = false;
  size_t queued_requests_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<GroupRefused> refusals_ ABSL_GUARDED_BY(mutex_);     // not yet written
  std::deque<Stopwatch> unacknowledged_ ABSL_GUARDED_BY(mutex_);  // since when; empty without metrics
};

}  // namespace keystead
