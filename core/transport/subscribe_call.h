// One open Subscribe on the server.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/transport/response_writer.h"
#include "core/transport/service_core.h"
#include "core/transport/subscribe_request.h"
#include "core/transport/timer.h"

namespace keystead {

class SubscribeTask;

// Owned by itself until OnDone, and by what still has to tell it something. Life: admitted on the writer's
// thread, then started and pumped on the executor, one write in flight at most. A topic that has something to
// send is in ready_, once; watching puts it there, pumping takes it out.
class SubscribeCall final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                            public EndableCall,
                            public std::enable_shared_from_this<SubscribeCall> {
 public:
  // Starts a call for a new request; never null.
  static SubscribeCall* Begin(std::shared_ptr<ServiceCore> core, grpc::CallbackServerContext& context,
                              const grpc::ByteBuffer& request);

  SubscribeCall(std::shared_ptr<ServiceCore> core, grpc::CallbackServerContext& context)
      : core_(std::move(core)), context_(context) {}

  void End(const absl::Status& status) override;

  // THREAD: gRPC's.
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  friend class SubscribeTask;

  struct TopicState {
    TopicLog log;
    uint64_t next = 0;          // offset to send
    uint64_t caught_up_at = 0;  // end of the log when the call began
    uint64_t first_kept = 0;
    bool announced = false;  // log id and first_kept were sent
    bool told_caught_up = false;
    std::unique_ptr<storage::Watcher> watcher;
  };

  // THREAD: the store's writer.
  void Admitted(const absl::Status& status, std::vector<TopicLog> logs);
  void Committed(uint32_t topic, uint64_t end);
  // THREAD: the executor.
  void StartTopics();
  absl::Status PlaceTopic(uint32_t index);
  void Pump();
  absl::Status FillMessage(ResponseWriter& message);
  absl::Status FillTopic(uint32_t index, ResponseWriter& message, bool& more);

  void PostPump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Finishes when it is time to; to be called without the lock after busy_ or ending_ changed.
  void FinishIfIdle();
  void CancelUnread();

  const std::shared_ptr<ServiceCore> core_;
  grpc::CallbackServerContext& context_;  // until OnDone
  std::shared_ptr<SubscribeCall> self_;
  std::shared_ptr<const Principal> principal_;
  Hop::Place place_;  // until OnDone
  SubscribeDemand demand_;
  std::vector<AskedPosition> asked_;  // of the demand's topics

  // Of the one that is busy: the executor's job or the write in flight.
  std::vector<TopicState> topics_;
  grpc::ByteBuffer message_;
  Stopwatch message_since_;  // the oldest commit that it answers; not running where nobody waited

  absl::Mutex mutex_;
  absl::Status end_status_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;  // a job is posted or runs, or a write is in flight
  bool cancelling_ ABSL_GUARDED_BY(mutex_) = false;
  Timer unread_ ABSL_GUARDED_BY(mutex_);
  std::deque<uint32_t> ready_ ABSL_GUARDED_BY(mutex_);
  std::vector<bool> is_ready_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> ends_ ABSL_GUARDED_BY(mutex_);  // of the logs, as watching told
  Stopwatch committed_since_ ABSL_GUARDED_BY(mutex_);   // the oldest commit that no message answers
};

}  // namespace keystead
