// The gateway as a member: its factory identity, joining by its label, and following the local keyring (which
// the downlink fills). It holds what the owner grants it, by default nothing: it then cannot read one record.
//
// Files in the state folder: "ik" and "setup-code" (factory), "join" (how far joining has come), "member"
// (keys and commits). Every change is durable before it is visible.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/identity/spiffe_id.h"
#include "core/membership/chain.h"
#include "core/program/state_folder.h"
#include "core/transport/executor.h"
#include "core/transport/hop_channel.h"
#include "gateway/local_keyring.h"

namespace keystead::gateway {

class Membership {
 public:
  struct Options {
    SpiffeId self;
    const StateFolder* folder = nullptr;
    HopChannel channel;  // to the next hop's rendezvous
    Executor* executor = nullptr;
    const Clock* clock = &Clock::System();  // of the offer
    // Follow this keyring. THREAD: the joining thread, or the caller of Start.
    std::function<void(const InstantiationId&)> follow;
    // A new head; `belongs` is false when it has no place for this gateway. THREAD: the executor, or the
    // caller of Start. Must not call this object.
    std::function<void(std::shared_ptr<const MembershipChain>, bool belongs)> on_chain;
  };

  // Makes the factory identity when there is none. Errors name the file.
  static absl::StatusOr<std::unique_ptr<Membership>> Open(const Options& options);
  ~Membership();  // Stop()

  // Before Start: raises the reset counter and forgets owner and keys. A local act.
  absl::Status Reset();
  // Writes the label, or leaves the file alone when it is this gateway's label already.
  absl::Status WriteLabel(const std::string& path) const;

  absl::Status Start(LocalKeyring* keyring);  // which outlives it
  void Stop();
  void KeyringGrew();  // THREAD: any; never blocks for long

  // Thread-safe.
  bool belongs() const;
  // None while there is neither owner nor offer.
  std::optional<InstantiationId> instantiation() const;

 private:
  class Impl;
  explicit Membership(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::gateway
