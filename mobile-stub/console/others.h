// What others see: the same record as every process between has it, asked of that process at one moment
// (keystead.v1.Observer).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "keystead/v1/observer.pb.h"
#include "mobile-stub/console/remote.h"

namespace keystead::console {

// Thread-safe; one look at a time.
class Others {
 public:
  // FAILED_PRECONDITION and the like: a certificate is no good.
  static absl::StatusOr<std::unique_ptr<Others>> Open(std::vector<RemoteOptions> remotes);
  ~Others();

  const std::vector<RemoteOptions>& remotes() const { return remotes_; }

  struct Answer {
    const RemoteOptions* of = nullptr;
    absl::Status status;
    v1::HeldResponse held;
  };
  // Asks all of them side by side, and waits for at most `patience`. A control is asked for the newest groups
  // of its telemetry, since it has no such record.
  std::vector<Answer> Look(const v1::HeldRequest& request, absl::Duration patience);

 private:
  struct Peer;
  explicit Others(std::vector<RemoteOptions> remotes);

  const std::vector<RemoteOptions> remotes_;
  absl::Mutex looking_;
  std::vector<std::unique_ptr<Peer>> peers_ ABSL_GUARDED_BY(looking_);
};

}  // namespace keystead::console
