// Looks now and then whether somebody who holds the label of an owned device tries to pair it, and reports
// each try. docs/protocol.md, "Joining".
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <set>
#include <string>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/transport/hop_channel.h"
#include "keystead/v1/rendezvous.grpc.pb.h"

namespace keystead {

// The box has a name that only the label tells, so whatever lies in it is a try. What lies there is not
// opened: the one-time key for it is gone. Costs one short call every few minutes and no thread. Thread-safe.
class ClaimWatch {
 public:
  struct Options {
    HopChannel channel;
    MailboxName box;     // JoinResponder::m1_box
    std::string tenant;  // for the event
    std::string device;
    // Boxes are emptied after ten minutes: not before that, so that the owner's own message is gone after a
    // restart, and then often enough to see each message. Devices of one process are spread over `every`.
    absl::Duration first = absl::Minutes(10);
    absl::Duration every = absl::Minutes(5);
  };
  ClaimWatch(Options options, absl::Duration uptime);
  ~ClaimWatch();  // ends the call that is under way

  // A message that is no news: the one that made the device its owner's.
  void Know(const Digest& message);
  // Starts a call when it is due. Does not block; call it about once a second.
  void Tick(absl::Duration uptime);
  size_t reported() const;

 private:
  struct Call;
  void Done(bool ok);

  const Options options_;
  mutable absl::Mutex mutex_;
  absl::Duration next_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Call> call_ ABSL_GUARDED_BY(mutex_);
  std::set<Digest> seen_ ABSL_GUARDED_BY(mutex_);  // bounded
  size_t reported_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keystead
