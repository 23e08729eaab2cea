// Notices that commits are missing between what a member has and what its hop shows, and says when to read
// the keyring once more from its first entry. Offsets are the hop's word: one that spoils or swallows a
// commit and goes on counting makes its reader pass the genuine one.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/sealing/member.h"

namespace keystead {

// Not thread-safe.
class KeyringGap {
 public:
  // Between two readings: so long at first, twice as long each time that no epoch was entered meanwhile. A
  // hop can make up records of epochs that there are not, and each reading costs the whole keyring.
  static constexpr absl::Duration kShortestWait = absl::Seconds(1);
  static constexpr absl::Duration kLongestWait = absl::Minutes(10);

  explicit KeyringGap(const Clock* clock) : clock_(*clock) {}

  // What became of a record of this epoch, and the chain now.
  void Took(KeyringEffect effect, uint64_t epoch, const MembershipChain& chain);
  // True once for each time that the keyring is to be read again: at the first sign at once.
  bool ReadAgain();

 private:
  const Clock& clock_;
  bool behind_ = false;
  absl::Duration not_before_ = -absl::InfiniteDuration();  // uptime
  absl::Duration wait_ = kShortestWait;
};

}  // namespace keystead
