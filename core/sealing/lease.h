// How long a member goes on obeying others while it hears nothing fresh of its owner. docs/protocol.md,
// "Commands"; docs/decisions/0012-the-lease-counts-uptime-over-boots.md.
#pragma once

#include <optional>

#include "absl/time/time.h"

namespace keystead {

inline constexpr absl::Duration kDefaultLease = absl::Hours(7 * 24);
inline constexpr absl::Duration kLeaseStep = absl::Hours(1);

// Counts uptime without a fresh word of the owner, over all boots of the device: uptime begins anew at every
// boot, and no wall clock is trusted. Whoever holds it stores what DueCharge() returns; a step is charged
// before it is used, so that a power cut never gives time back, and each boot costs a step at most. Time
// without power does not count. Not thread-safe.
class Lease {
 public:
  explicit Lease(absl::Duration limit = kDefaultLease) : limit_(limit) {}

  // A boot: what was stored last. Null when nothing was: the lease is over until the owner is heard.
  void Resume(std::optional<absl::Duration> charged, absl::Duration uptime);
  // A commit of the owner opened, or a head with a higher hseq verified.
  void Hear(absl::Duration uptime);

  absl::Duration Silence(absl::Duration uptime) const { return before_ + (uptime - since_); }
  bool Over(absl::Duration uptime) const { return Silence(uptime) > limit_; }

  // What must be stored now, if anything; it is due again until MarkCharged.
  std::optional<absl::Duration> DueCharge(absl::Duration uptime) const;
  void MarkCharged(absl::Duration charge) { charged_ = charge; }

 private:
  absl::Duration limit_;
  absl::Duration before_ = absl::InfiniteDuration();  // silence up to since_
  absl::Duration since_;                              // uptime of this boot
  std::optional<absl::Duration> charged_;             // stored in this boot
};

}  // namespace keystead
