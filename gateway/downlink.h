// Brings down what members need of the next hop: the keyring and every member's commands. Entries go into the
// same local logs that the LAN reads, with the position that was reached, in one transaction; they do not go
// up again.
//
// The next hop is not trusted. At the places of commits nothing is stored but what CommitBook found to be the
// successor; when something else came there, or an epoch shows up whose commit has not come, the next hop's
// registry is asked for it by epoch, at growing intervals. All else is for members to judge: the gateway
// cannot tell junk from a genuine record, so where more variants claim a place than are kept it says so.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/executor.h"
#include "core/transport/hop_channel.h"
#include "core/transport/record_log.h"
#include "core/transport/subscriber.h"
#include "gateway/commit_book.h"
#include "gateway/commit_fetch.h"
#include "gateway/forwarder.h"

namespace keystead::gateway {

class Downlink {
 public:
  struct Options {
    HopChannel channel;
    TenantName tenant;
    BackoffOptions backoff;
    absl::Duration ask_after = absl::Seconds(1);  // for a commit that is missing; doubles while none comes
    std::function<void()> on_keyring;             // THREAD: writer. The local keyring has grown
    // THREAD: writer, inside Prepare.
    std::function<void(const GroupHeader&, storage::LogRef, size_t bytes)> on_stored;
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
  // Any thread: somebody acts in an epoch that is not known here.
  void Behind() { behind_ = true; }

  struct Stats {
    bool connected = false;
    uint64_t groups = 0;  // since the last Follow or restart
    uint64_t stored = 0;  // groups that were new here
    uint64_t malformed = 0;
    uint64_t refused_commits = 0;
    uint64_t refused_records = 0;  // too many variants at their place
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
  // THREAD: verifier_.
  void Sort(std::unique_ptr<BringTask> task, const std::vector<Payload>& groups);
  void TakeBundles(const std::shared_ptr<Feed>& feed, const std::vector<std::string>& bundles);
  bool MayEnter(const GroupView& group);

  storage::LogStore* const store_;
  RecordLog* const log_;
  Forwarder* const forwarder_;
  const Options options_;

  mutable absl::Mutex control_;  // not taken by callbacks
  std::optional<InstantiationId> id_ ABSL_GUARDED_BY(control_);
  std::vector<MemberId> members_ ABSL_GUARDED_BY(control_);
  std::shared_ptr<Feed> feed_ ABSL_GUARDED_BY(control_);
  absl::Time ask_at_ ABSL_GUARDED_BY(control_) = absl::InfinitePast();
  absl::Duration ask_wait_ ABSL_GUARDED_BY(control_) = absl::ZeroDuration();
  uint64_t asked_from_ ABSL_GUARDED_BY(control_) = UINT64_MAX;
  absl::Time restart_at_ ABSL_GUARDED_BY(control_) = absl::InfinitePast();
  bool stopped_ ABSL_GUARDED_BY(control_) = false;
  uint64_t restarts_ ABSL_GUARDED_BY(control_) = 0;
  std::atomic<uint64_t> stored_{0};
  std::atomic<uint64_t> malformed_{0};
  std::atomic<uint64_t> refused_commits_{0};
  std::atomic<uint64_t> refused_records_{0};
  std::atomic<bool> behind_{false};
  std::atomic<uint64_t> next_epoch_{0};  // of the book
  CommitBook book_;                      // THREAD: verifier_
  CommitFetch fetch_;
  Executor verifier_{1};  // its jobs use the rest
};

}  // namespace keystead::gateway
