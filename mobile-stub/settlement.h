// What became of changes of membership. A hop's answer to Submit decides nothing: it may be a lie, or about
// another moment. A change counts when a verified commit is seen, and until then its secret, the only copy
// there is, is kept and the same bytes are handed over again. docs/decisions/0010.
#pragma once

#include "core/sealing/commit_secrets.h"
#include "mobile-stub/engine.h"

namespace keystead::mobile {

enum class Settled {
  kNothing,     // nothing was pending
  kEntered,     // a pending commit was seen, and the epoch it begins is entered
  kSuperseded,  // another valid commit took the place: the pending ones can never be and are gone
};

// Takes what the registry shows, hands it what it does not show, and tells the fate of what was pending.
// Under LockChanges(). UNAVAILABLE "not confirmed yet": neither was seen, and nothing was given up;
// FAILED_PRECONDITION: the registry holds commits that this state cannot open, or another one than it
// entered.
absl::StatusOr<Settled> Settle(const Engine& engine, absl::Duration patience);

// Enters the pending commit that `bundle`, found somewhere, is; or notices that it was entered already, by
// another process. Under Begin(). False: it is not ours.
absl::StatusOr<bool> EnterPending(const AppState& state, const CommitBundle& bundle, Member& member);

}  // namespace keystead::mobile
