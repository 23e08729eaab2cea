// What the calls of one TransportService share.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/timer.h"
#include "core/transport/transport_metrics.h"
#include "core/transport/transport_service.h"

namespace keystead {

// An open call of either kind. Ending is idempotent and thread-safe; the first status wins.
class EndableCall {
 public:
  virtual ~EndableCall() = default;
  virtual void End(const absl::Status& status) = 0;
};

struct ServiceCore {
  Hop* hop = nullptr;
  RecordLog* log = nullptr;
  Executor* executor = nullptr;
  TransportServiceOptions options;

  struct Counters {
    std::atomic<uint64_t> publish_calls{0}, subscribe_calls{0}, requests{0}, groups_in{0}, acks{0},
        refusals{0}, messages_out{0}, groups_out{0}, bytes_out{0};
    std::array<std::atomic<uint64_t>, kStatusCodes> refusals_by_code{};
  };
  Counters counters;
  LatencyHistogram acknowledged;  // from reading a request to sending what acknowledges it
  LatencyHistogram delivered;     // from a commit that a subscriber waits for to having sent it

  // False when the service has been stopped: end the call.
  bool Register(EndableCall* key, std::shared_ptr<EndableCall> call,
                std::shared_ptr<const Principal> principal, const SubscribeDemand* demand) {
    absl::MutexLock lock(&mutex);
    if (stopped) return false;
    open[key] = {std::move(call), std::move(principal), demand};
    return true;
  }
  void Unregister(EndableCall* key) {
    absl::MutexLock lock(&mutex);
    open.erase(key);
  }

  // Asks from time to time whether the principals of open calls still count.
  void RecheckLater(const std::shared_ptr<ServiceCore>& self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Recheck(const std::shared_ptr<ServiceCore>& self);
  void StopRechecking();  // and refuses new calls

  struct Open {
    std::shared_ptr<EndableCall> call;
    std::shared_ptr<const Principal> principal;
    const SubscribeDemand* demand = nullptr;  // lives in the call
  };
  absl::Mutex mutex;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
  Timer recheck ABSL_GUARDED_BY(mutex);
  absl::flat_hash_map<EndableCall*, Open> open ABSL_GUARDED_BY(mutex);
};

inline void Count(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace keystead
