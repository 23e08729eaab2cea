// Follows the keyring of an instantiation at a next hop and feeds it to a Member, off gRPC's threads. Reads
// it again from its first entry when a commit was passed (keyring_gap.h). docs/architecture.md, "Membership".
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/member/job_queue.h"
#include "core/member/keyring_gap.h"
#include "core/sealing/member.h"
#include "core/transport/hop_channel.h"
#include "core/transport/subscriber.h"

namespace keystead {

// The outer fields of a record as the protocol's rules see them.
StreamPlace PlaceOf(const GroupHeader& header);

class KeyringLink {
 public:
  struct Options {
    HopChannel channel;
    TenantName tenant;
    InstantiationId id;
    SubscriberTopic start{.topic = Topic::Keyring()};  // where an earlier run's Position() had come to
    Executor* executor = nullptr;                      // one job at a time per link; outlives the link
    absl::Mutex* mutex = nullptr;                      // guards *member; taken around each record
    Member* member = nullptr;                          // outlives the link
    // Under the mutex, on the executor, after each record that did something.
    std::function<void(KeyringEffect effect)> on_effect;
    // Under the mutex: whose keys of an epoch that ends are still needed. May be empty.
    std::function<std::vector<std::pair<Topic, MemberId>>()> known_senders;
    std::function<void()> on_caught_up;  // on the executor, without the mutex
    std::function<void(const absl::Status&)> on_disconnected;
    BackoffOptions backoff;
  };
  explicit KeyringLink(const Options& options);
  ~KeyringLink();  // Stop()

  void Start();
  void Stop();  // idempotent; not while holding `mutex`; afterwards nothing is called any more; not from a
                // callback
  // Behind what was handed to the member. Store it beside the member, or not at all: what lies before it will
  // not be read again from this log, unless a commit turns out to be missing.
  SubscriberTopic Position() const;
  bool connected() const { return subscriber_->GetStats().connected; }

 private:
  void Take(const TopicBatch& batch);
  void Process(const std::vector<Payload>& groups);
  void ProcessGroup(const GroupView& group);
  void ReadAgain();

  const Options options_;
  std::unique_ptr<Subscriber> subscriber_;
  JobQueue jobs_;
  GroupHeaderCache headers_;  // this and the next: used by the one job that runs
  KeyringGap gap_{&Clock::System()};
  mutable absl::Mutex position_mutex_;
  SubscriberTopic position_ ABSL_GUARDED_BY(position_mutex_);
};

}  // namespace keystead
