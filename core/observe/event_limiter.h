// How many security events become log lines. Who provokes events chooses how many there are; a line costs a
// write to disk, so lines are rationed: in bursts, a few hundred are never cut; in the long run, few a
// second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/observe/security_event.h"

namespace keystead {

// Two rations must both allow a line: that of its kind and peer, and that of its kind, since peers that are
// not known yet can have any number of names. Bounded: with more than max_peers, the peer not heard of for
// longest is forgotten and starts anew. Not thread-safe. `now` is monotonic.
class EventLimiter {
 public:
  struct Options {
    double peer_burst = 1000;
    double peer_per_second = 20;
    double kind_burst = 4000;
    double kind_per_second = 200;
    size_t max_peers = 1024;
  };
  explicit EventLimiter(const Options& options) : options_(options) {}

  struct Decision {
    bool write = false;
    uint64_t suppressed = 0;  // events of this kind that were not written since the last that was
  };
  // Of an event that stands for `count`.
  Decision Ask(SecurityEventKind kind, std::string_view peer, uint64_t count, absl::Duration now);

  size_t peers() const { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    absl::Duration at;
  };
  struct Kind {
    Bucket bucket;
    uint64_t suppressed = 0;
    bool used = false;
  };
  using Key = std::pair<SecurityEventKind, std::string>;
  struct Peer {
    Key key;
    Bucket bucket;
  };
  static void Refill(Bucket& bucket, double burst, double per_second, absl::Duration now);
  Bucket& BucketOf(SecurityEventKind kind, std::string_view peer, absl::Duration now);

  const Options options_;
  absl::flat_hash_map<SecurityEventKind, Kind> kinds_;
  std::list<Peer> peers_;  // heard of most recently first
  absl::flat_hash_map<Key, std::list<Peer>::iterator> buckets_;
};

}  // namespace keystead
