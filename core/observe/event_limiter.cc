#include "core/observe/event_limiter.h"

#include <algorithm>

namespace keystead {

void EventLimiter::Refill(Bucket& bucket, double burst, double per_second, absl::Duration now) {
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - bucket.at));
  bucket.tokens = std::min(burst, bucket.tokens + seconds * per_second);
  bucket.at = now;
}

EventLimiter::Bucket& EventLimiter::BucketOf(SecurityEventKind kind, std::string_view peer,
                                             absl::Duration now) {
  Key key(kind, std::string(peer));
  if (const auto found = buckets_.find(key); found != buckets_.end()) {
    peers_.splice(peers_.begin(), peers_, found->second);
    return peers_.front().bucket;
  }
  peers_.push_front({key, {options_.peer_burst, now}});
  buckets_.emplace(std::move(key), peers_.begin());
  if (buckets_.size() > options_.max_peers) {
    buckets_.erase(peers_.back().key);
    peers_.pop_back();
  }
  return peers_.front().bucket;
}

EventLimiter::Decision EventLimiter::Ask(SecurityEventKind kind, std::string_view peer, uint64_t count,
                                         absl::Duration now) {
  Kind& of_kind = kinds_[kind];
  if (!of_kind.used) of_kind = {{options_.kind_burst, now}, 0, true};
  Bucket& of_peer = BucketOf(kind, peer, now);
  Refill(of_kind.bucket, options_.kind_burst, options_.kind_per_second, now);
  Refill(of_peer, options_.peer_burst, options_.peer_per_second, now);
  if (of_kind.bucket.tokens < 1 || of_peer.tokens < 1) {
    of_kind.suppressed += count;
    return {};
  }
  of_kind.bucket.tokens -= 1;
  of_peer.tokens -= 1;
  return {true, std::exchange(of_kind.suppressed, 0)};
}

}  // namespace keystead
