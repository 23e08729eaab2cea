// Asks the next hop's registry for commits by their epoch. Offsets of keyring are the next hop's word: one
// that shows junk where a commit stands makes its reader pass the genuine one. What is asked for by epoch
// cannot be passed over.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/ids.h"
#include "core/transport/hop_channel.h"
#include "keystead/v1/registry.grpc.pb.h"

namespace keystead::gateway {

// Thread-safe. At most one call at a time.
class CommitFetch {
 public:
  // `on_bundles` runs on gRPC's thread, with what came; not when the call failed.
  CommitFetch(HopChannel channel, TenantName tenant,
              std::function<void(const InstantiationId&, std::vector<std::string>)> on_bundles);
  ~CommitFetch();  // Stop()

  void Begin(const InstantiationId& id, uint64_t from_epoch);  // nothing while one is under way
  void Stop();  // afterwards nothing is called any more; not from the callback

 private:
  struct Call;
  void Finished(const std::shared_ptr<Call>& call, const grpc::Status& status);

  const HopChannel channel_;
  const TenantName tenant_;
  const std::function<void(const InstantiationId&, std::vector<std::string>)> on_bundles_;
  absl::Mutex mutex_;
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace keystead::gateway
