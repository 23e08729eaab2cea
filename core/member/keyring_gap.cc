#include "core/member/keyring_gap.h"

#include <algorithm>

namespace keystead {

void KeyringGap::Took(KeyringEffect effect, uint64_t epoch, const MembershipChain& chain) {
  if (effect == KeyringEffect::kEpoch) {
    wait_ = kShortestWait;
    not_before_ = -absl::InfiniteDuration();
  } else if (effect == KeyringEffect::kRefused && (chain.empty() || epoch > chain.epoch())) {
    behind_ = true;
  }
}

bool KeyringGap::ReadAgain() {
  const absl::Duration now = clock_.Uptime();
  if (!behind_ || now < not_before_) return false;
  behind_ = false;
  not_before_ = now + wait_;
  wait_ = std::min(wait_ * 2, kLongestWait);
  return true;
}

}  // namespace keystead
