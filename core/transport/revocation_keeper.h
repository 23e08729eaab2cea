// The newest revocations of each tenant (core/identity/revocations.h) at one hop: they count in its deny
// list, older ones are refused, and whoever waits for news gets them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/identity/principal.h"
#include "core/identity/revocations.h"

namespace keystead {

// Thread-safe.
class RevocationKeeper {
 public:
  struct Options {
    const TenantDirectory* directory = nullptr;
    DenyList* deny_list = nullptr;    // its tenants' part
    std::function<void()> on_change;  // open calls should be looked at again. THREAD: of Put
  };
  explicit RevocationKeeper(Options options) : options_(std::move(options)) {}

  // What was made durable before. It counts also when no registered key stands behind it any more, which is
  // logged: a deny list must not vanish with a key. INVALID_ARGUMENT when it is damaged.
  absl::Status Restore(ByteView object);

  // Lets an object of `tenant` count, once make_durable (which may block) has kept it. Its number, or that of
  // the same content again. Refused and reported as a security event: UNAUTHENTICATED, not signed by this
  // tenant; FAILED_PRECONDITION, a number below the one that counts, or the same with other content. `from`
  // names who brought it. THREAD: an executor's, never a writer's or gRPC's.
  absl::StatusOr<uint64_t> Put(const TenantName& tenant, ByteView object, std::string_view from,
                               const std::function<absl::Status()>& make_durable);

  uint64_t NumberOf(const TenantName& tenant) const;  // 0: there are none

  // Called once: with an object whose number is above `above`, or a status. Not under a lock.
  using Answer = std::function<void(absl::StatusOr<std::string>)>;
  // Answers at once or when there is one. The ticket for Cancel; 0 when it was answered already.
  uint64_t Await(const Principal& peer, uint64_t above, Answer answer);
  void Cancel(uint64_t ticket);  // CANCELLED, unless answered already
  // UNAUTHENTICATED for each who waits and is `refused`, which is asked without a lock.
  void EndWaiting(const std::function<bool(const Principal&)>& refused);
  // Of a tenant that was erased: nothing counts any more, in the deny list neither. A Put that is under way
  // is waited for; what make_durable refuses from now on does not come back. THREAD: not the one that
  // make_durable waits for.
  void Forget(const TenantName& tenant);
  void Stop();  // UNAVAILABLE for all who wait and come

 private:
  struct Kept {
    uint64_t number = 0;
    std::string object;
    std::string text;
  };
  struct Waiter {
    Principal peer;
    uint64_t above = 0;
    Answer answer;
  };
  absl::Status Judge(const Revocations& offered, std::string_view from) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(put_mutex_);
  void Count(Revocations revocations, ByteView object);

  const Options options_;
  absl::Mutex put_mutex_;  // one Put at a time: between the look at the number and the new one nothing comes
  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<TenantName, Kept> kept_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);  // by ticket
};

}  // namespace keystead
