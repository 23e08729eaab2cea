// The newcomer's side of joining, over the rendezvous of its next hop: announces, answers M1 with M2, and
// goes on listening until the commit that adds it has opened, because an owner whose app lost M2 asks again.
// docs/protocol.md, "Joining".
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/sealing/joining.h"
#include "core/transport/backoff.h"
#include "core/transport/hop_channel.h"

namespace keystead {

struct JoinSessionOptions {
  HopChannel channel;
  JoinResponder* responder = nullptr;  // outlives the call
  // Held around every use of the responder and around `store`; null where nobody else uses the responder.
  // Needed where another thread says BecomeOwned.
  absl::Mutex* mutex = nullptr;
  BootId boot;
  const Clock* clock = &Clock::System();
  // Makes the responder's state durable; called before anything is shown.
  std::function<absl::Status(const SecretBytes&)> store;
  // An M1 was answered, or an offer of an earlier run still stands: follow its keyring. Again for every M1
  // that replaces the one before. Called without the mutex: the reference is good until somebody else changes
  // the responder.
  std::function<void(const JoinResponder::Offer&)> on_offer;
  // "armed", "announced", "offered", "contested", for people.
  std::function<void(std::string_view event)> on_event;
  std::function<bool()> stop;  // asked several times a second
  BackoffOptions retry{.initial = absl::Milliseconds(500), .max = absl::Seconds(5)};  // after a failed call
};

// Call it after a local act (button, first power-up) or while an offer stands: it arms unless there is an
// offer. Blocks its thread until stop(), until the responder is owned, or until the arming is over. OK:
// stopped or owned. DEADLINE_EXCEEDED: nobody paired in time. ABORTED: contested. RESOURCE_EXHAUSTED: too
// many messages that were no M1; arm again. Otherwise what storing said. Network failures are retried.
absl::Status RunJoinSession(const JoinSessionOptions& options);

}  // namespace keystead
