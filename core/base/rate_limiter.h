// Token buckets by name.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"

namespace keystead {

struct Rate {
  double per_second = 50;
  double burst = 200;
};

// Thread-safe.
class RateLimiter {
 public:
  explicit RateLimiter(const Rate& rate, const Clock* clock = &Clock::System(), size_t max_names = 65536)
      : rate_(rate), clock_(clock), max_names_(max_names) {}

  // Takes one token; false when there is none.
  bool Take(std::string_view name) { return TakeOrWait(name) == absl::ZeroDuration(); }

  // The same. Otherwise how long it is until there is one again: above zero, infinite where none ever comes.
  absl::Duration TakeOrWait(std::string_view name) {
    const absl::Duration now = clock_->Uptime();
    absl::MutexLock lock(&mutex_);
    if (buckets_.size() >= max_names_ && !buckets_.contains(Absl(name))) DropFull(now);
    auto [at, is_new] = buckets_.try_emplace(std::string(name), Bucket{rate_.burst, now});
    Bucket& bucket = at->second;
    bucket.tokens = Filled(bucket, now);
    bucket.at = now;
    if (bucket.tokens < 1) return UntilWhole(bucket.tokens);
    bucket.tokens -= 1;
    return absl::ZeroDuration();
  }

 private:
  struct Bucket {
    double tokens = 0;
    absl::Duration at;
  };
  double Filled(const Bucket& bucket, absl::Duration now) const {
    const double filled = bucket.tokens + absl::ToDoubleSeconds(now - bucket.at) * rate_.per_second;
    return filled < rate_.burst ? filled : rate_.burst;
  }
  absl::Duration UntilWhole(double tokens) const {
    if (rate_.per_second <= 0 || rate_.burst < 1) return absl::InfiniteDuration();
    return std::max(absl::Seconds((1 - tokens) / rate_.per_second), absl::Milliseconds(1));
  }
  // A full bucket says no more than none does. Where that frees nothing, everybody begins anew.
  void DropFull(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    absl::erase_if(buckets_, [&](const auto& entry) { return Filled(entry.second, now) >= rate_.burst; });
    if (buckets_.size() >= max_names_) buckets_.clear();
  }

  const Rate rate_;
  const Clock* const clock_;
  const size_t max_names_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead
