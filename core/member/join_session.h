// The newcomer's side of joining, over the rendezvous of its next hop: announces, answers M1 with M2, and
// goes on listening until the commit that adds it has opened, because an owner whose app lost M2 asks again.
// docs/protocol.md, "Joining".
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/sealing/joining.h"

namespace keystead {

struct JoinSessionOptions {
  std::shared_ptr<grpc::Channel> channel;
  JoinResponder* responder = nullptr;  // outlives the call
  BootId boot;
  const Clock* clock = &Clock::System();
  std::function<absl::Status(const SecretBytes&)>
      store;  // makes the responder's state durable; called before anything is shown
  std::function<void(const JoinResponder::Offer&)> on_offer;  // an M1 was answered: follow its keyring
  std::function<void(std::string_view event)>
      on_event;                // "armed", "announced", "offered", "contested", for people
  std::function<bool()> stop;  // asked at least every 25 s
};

// Blocks its thread until stop() or until the arming is over. OK: stopped. DEADLINE_EXCEEDED: nobody paired
// in time. ABORTED: contested. Otherwise what storing said. Network failures are retried.
absl::Status RunJoinSession(const JoinSessionOptions& options);

}  // namespace keystead
