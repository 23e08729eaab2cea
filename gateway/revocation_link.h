// The tenant's revocations at a gateway: followed at the next hop by long poll, verified, kept in the state
// folder, served on to the LAN. A next hop that shows an older one changes nothing.
#pragma once

#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/program/state_folder.h"
#include "core/transport/backoff.h"
#include "core/transport/executor.h"
#include "core/transport/hop_channel.h"
#include "core/transport/revocation_keeper.h"

namespace keystead::gateway {

// Thread-safe. All that is pointed to outlives it.
class RevocationLink {
 public:
  struct Options {
    HopChannel channel;
    TenantName tenant;
    std::string next_hop;  // SPIFFE id, for events
    const StateFolder* folder = nullptr;
    RevocationKeeper* keeper = nullptr;
    Executor* executor = nullptr;
    BackoffOptions backoff;
    absl::Duration call_limit = absl::Minutes(5);  // of one long poll
  };
  explicit RevocationLink(const Options& options) : options_(options), backoff_(options.backoff) {}
  ~RevocationLink();  // Stop()

  // What is kept counts again. DATA_LOSS names the file: the gateway must not begin without it.
  absl::Status Restore();
  void Tick();  // asks when nothing is asked and it is time; often
  void Stop();  // idempotent; before the executor goes

 private:
  struct Call;
  void Ended(const std::shared_ptr<Call>& call, const absl::Status& status);
  absl::Status Take(const std::string& object);

  const Options options_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mutex_);  // until what it brought has been taken
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace keystead::gateway
