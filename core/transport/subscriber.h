// The client side of Subscribe: entries of many topics, resumed from where it was after any broken
// connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/base/topic.h"
#include "core/transport/backoff.h"
#include "core/transport/group_view.h"
#include "core/transport/hop_channel.h"

namespace keystead {

// Where to begin with a topic. Positions count only on the log that gave them.
struct SubscriberTopic {
  Topic topic;
  LogId log_id;              // all zero: unknown
  uint64_t next_offset = 0;  // first entry wanted
  bool only_new = false;     // with an unknown log: begin at the end
};

// Groups first_offset, first_offset + 1, … of a topic's log. Their bytes come from outside, unparsed.
struct TopicBatch {
  const Topic& topic;
  LogId log_id;
  uint64_t first_offset = 0;
  std::span<const Payload> groups;
};

// Called one at a time, on gRPC's threads; must not block. They may call every function of the subscriber but
// Stop and the destructor. Unset ones are not called.
struct SubscriberCallbacks {
  std::function<void(const TopicBatch& batch)> on_entries;
  // The topic's log as the hop has it, once per connection, before its entries. `first_kept` is the oldest
  // entry that there is: above the position asked for, retention has discarded what lies between. A log id
  // other than before: another hop or a restored one; its entries come from the first on.
  std::function<void(const Topic& topic, const LogId& log_id, uint64_t first_kept)> on_log;
  std::function<void(const Topic& topic)> on_caught_up;  // all that was there when the call began has come
  std::function<void(const absl::Status& why)> on_disconnected;
};

struct SubscriberOptions {
  TenantName tenant;
  InstantiationId instantiation;
  BackoffOptions backoff;
  RandomSource* random = &RandomSource::System();  // for jitter
};

// Thread-safe. No thread of its own.
class Subscriber {
 public:
  Subscriber(HopChannel channel, SubscriberCallbacks callbacks, const SubscriberOptions& options);
  ~Subscriber();  // Stop()
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // Opens the call, and keeps opening it, once there is a topic. Call once.
  void Start();
  // Ends the call and waits until no callback runs or will run again. Not from a callback. Idempotent.
  void Stop();

  // Adds topics; ones it has already are left alone. The call is opened anew from the positions reached: give
  // many at once rather than one by one. RESOURCE_EXHAUSTED beyond limits::kMaxTopicsPerSubscription. Allowed
  // before Start.
  absl::Status Add(std::vector<SubscriberTopic> topics);
  void Remove(std::span<const Topic> topics);
  // Opens the call anew, with this topic from its first entry: for a reader that missed what its hop says was
  // delivered. Nothing for a topic that it does not have.
  void Rewind(const Topic& topic);

  // While paused no further message is read; what the hop sends is held back by flow control. Counts as a
  // depth: as many Resume as Pause. For consumers that hand entries to another thread.
  void Pause();
  void Resume();

  // Positions to begin from next time: behind the last entry given to on_entries.
  std::vector<SubscriberTopic> Positions() const;

  struct Stats {
    uint64_t messages = 0;
    uint64_t groups = 0;
    uint64_t bytes = 0;        // of groups
    uint64_t connections = 0;  // calls begun
    bool connected = false;    // a message has come on this call
  };
  Stats GetStats() const;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace keystead
