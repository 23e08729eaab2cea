// Opaque pairing mailboxes, per tenant, in memory. Who does not know a box's name, which follows from the
// setup code, can neither find nor fill it; the contents are sealed or signed by those who use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "backend/tenant_view.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/rate_limiter.h"

namespace keystead::backend {

// Thread-safe.
class Mailboxes {
 public:
  struct Options {
    size_t messages_per_box = limits::kMailboxTries;
    absl::Duration lifetime = absl::Minutes(10);  // of a box, since its last message
    size_t boxes_per_tenant = 8192;
    size_t bytes_per_tenant = 16 << 20;
    // Of the tenant's, what one peer may fill. A gateway is one peer for all behind it.
    size_t boxes_per_peer = 1024;
    size_t bytes_per_peer = 2 << 20;
    size_t waiting_per_tenant = 8192;
    size_t waiting_per_peer = 64;
    Rate rate;  // Put and Await of one peer
    const Clock* clock = &Clock::System();
  };
  explicit Mailboxes(const Options& options) : options_(options), rate_(options.rate, options.clock) {}

  // INVALID_ARGUMENT: empty or above limits::kMailboxBytes. RESOURCE_EXHAUSTED: the box is full, the tenant's
  // share, the peer's share of it or the peer's rate used up.
  absl::Status Put(const TenantView& tenant, const Principal& peer, const MailboxName& box,
                   std::string message);

  // Called once: with the messages from `after` on, at least one, or a status. Not under a lock.
  using Answer = std::function<void(absl::StatusOr<std::vector<std::string>>)>;
  // Answers at once or when a message comes. The ticket for Cancel; 0 when it was answered already.
  uint64_t Await(const TenantView& tenant, const Principal& peer, const MailboxName& box, size_t after,
                 Answer answer);
  void Cancel(uint64_t ticket);  // CANCELLED, unless answered already
  // UNAUTHENTICATED for each who waits and is `refused`, which is asked without a lock.
  void EndWaiting(const std::function<bool(const Principal&)>& refused);
  // A tenant that was erased: UNAUTHENTICATED for all of it who wait, and come; nothing is left of its boxes.
  void Forget(uint32_t tenant);
  void Stop();         // UNAVAILABLE for all who wait and come
  void DropExpired();  // also done on demand; regularly, so that memory is given back

 private:
  struct Box {
    std::vector<std::string> messages;
    std::vector<std::string> senders;  // of each message; the first opened the box
    size_t bytes = 0;
    absl::Duration last;
  };
  using Key = std::pair<uint32_t, MailboxName>;
  struct Waiter {
    Key key;
    Principal peer;
    size_t after = 0;
    Answer answer;
  };
  struct Share {
    size_t boxes = 0;
    size_t bytes = 0;
    size_t waiting = 0;
  };
  struct Filled {  // by one peer
    size_t boxes = 0;
    size_t bytes = 0;
  };

  absl::Status Closed(uint32_t tenant) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Expired(const Box& box) const { return options_.clock->Uptime() - box.last >= options_.lifetime; }
  void Drop(const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropExpiredLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasFilledShare(const std::string& peer, bool new_box, size_t bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBack(const std::string& peer, size_t boxes, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeCall(const Principal& peer);
  // Why not; empty when it is stored.
  std::string_view Store(const Key& key, const std::string& peer, std::string message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Waiter TakeWaiter(uint64_t ticket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  RateLimiter rate_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<uint32_t> erased_ ABSL_GUARDED_BY(mutex_);  // numbers are not given again
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<Key, Box> boxes_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, Share> shares_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Filled> filled_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Key, std::vector<uint64_t>> waiting_for_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, size_t> waiting_peers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend
