// Brings down what members need of the next hop: the keyring and every member's commands. Entries go into the
// same local logs that the LAN reads, with the position that was reached, in one transaction; they do not go
// up again.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/record_log.h"
#include "core/transport/subscriber.h"
#include "gateway/forwarder.h"

namespace keystead::gateway {

class Downlink {
 public:
  struct Options {
    std::shared_ptr<grpc::Channel> channel;
    TenantName tenant;
    BackoffOptions backoff;
    std::function<void()> on_keyring;  // THREAD: writer. The local keyring has grown
    std::function<void(storage::LogRef, size_t bytes)> on_stored;  // THREAD: writer, inside Prepare
    const Clock* clock = &Clock::System();
  };
  // All outlive it.
  Downlink(storage::LogStore* store, RecordLog* log, Forwarder* forwarder, const Options& options);
  ~Downlink();  // Stop()

  // Follows this instantiation from now on, at first its keyring only. Blocks for a moment; not on gRPC's
  // threads nor on the writer's.
  void Follow(const InstantiationId& id);
  // The members whose commands are wanted. Same threads as Follow.
  void SetMembers(const std::vector<MemberId>& members);
  // About ten times a second: begins anew from the durable positions when storing has failed.
  void Tick();
  void Stop();

  struct Stats {
    bool connected = false;
    uint64_t groups = 0;  // since the last Follow or restart
    uint64_t stored = 0;  // groups that were new here
    uint64_t malformed = 0;
    uint64_t restarts = 0;
  };
  Stats GetStats() const;

 private:
  // One subscription, and what its tasks need of it.
  struct Feed {
    std::unique_ptr<Subscriber> subscriber;
    InstantiationId id;
    std::atomic<bool> failed{false};  // what came after is ignored: its position would skip what was lost
  };
  class BringTask;

  std::vector<Topic> WantedTopics() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_);
  std::vector<SubscriberTopic> PositionsOf(const InstantiationId& id, const std::vector<Topic>& topics) const;
  void Restart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_);
  void Take(const std::shared_ptr<Feed>& feed, const TopicBatch& batch);

  storage::LogStore* const store_;
  RecordLog* const log_;
  Forwarder* const forwarder_;
  const Options options_;

  mutable absl::Mutex control_;  // not taken by callbacks
  std::optional<InstantiationId> id_ ABSL_GUARDED_BY(control_);
  std::vector<MemberId> members_ ABSL_GUARDED_BY(control_);
  std::shared_ptr<Feed> feed_ ABSL_GUARDED_BY(control_);
  absl::Time restart_at_ ABSL_GUARDED_BY(control_) = absl::InfinitePast();
  bool stopped_ ABSL_GUARDED_BY(control_) = false;
  uint64_t restarts_ ABSL_GUARDED_BY(control_) = 0;
  std::atomic<uint64_t> stored_{0};
  std::atomic<uint64_t> malformed_{0};
};

}  // namespace keystead::gateway
