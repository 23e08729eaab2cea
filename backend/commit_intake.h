// How a membership commit gets into the store: signatures are verified on the executor, its place is decided
// in the single writer's order. docs/protocol.md, "What the backend checks".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "backend/hop.h"
#include "backend/instantiations.h"
#include "backend/rate_limiter.h"
#include "backend/tenant_view.h"
#include "core/base/limits.h"
#include "core/transport/record_log.h"

namespace keystead::backend {

struct AcceptedCommit {
  uint64_t epoch = 0;
  Digest hash;
};

// Thread-safe.
class CommitIntake {
 public:
  struct Options {
    uint64_t instantiations_per_tenant = 1'000'000;
    Rate new_instantiations{.per_second = 50, .burst = 1000};  // of a tenant
    size_t under_way_per_tenant = 64;                          // calls being worked on
    size_t under_way = 512;
    size_t fetch_bytes = 3 << 20;  // of bundles in one answer; at least one
    const Clock* clock = &Clock::System();
  };
  struct Parts {  // nothing is owned
    storage::LogStore* store = nullptr;
    RecordLog* log = nullptr;
    Executor* executor = nullptr;
    Instantiations* instantiations = nullptr;
    BackendHop* hop = nullptr;
  };
  CommitIntake(const Parts& parts, const Options& options)
      : parts_(parts), options_(options), creations_(options.new_instantiations, options.clock) {}

  using Caller = std::shared_ptr<const Principal>;
  using SubmitAnswer = std::function<void(absl::StatusOr<AcceptedCommit>)>;
  using FetchAnswer = std::function<void(absl::StatusOr<std::vector<std::string>>)>;

  // Answers once, on another thread, when the commit is durable and every later publish and subscription
  // meets its roster. The same bundle again gets the same answer.
  //   INVALID_ARGUMENT     malformed or badly signed; also whatever would tell a stranger that the id exists
  //   ABORTED              its parent is not the head
  //   FAILED_PRECONDITION  a device has accepted another owner since, or the acceptance was used before
  //   RESOURCE_EXHAUSTED   too many calls, instantiations, or new ones too fast
  void Submit(const TenantView& tenant, Caller caller, const InstantiationId& id, std::string bundle,
              SubmitAnswer answer);

  // The bundles from an epoch on, oldest first, as many as fit; none behind the head. For members and
  // couriers of the present roster; NOT_FOUND for all others.
  void Fetch(const TenantView& tenant, Caller caller, const InstantiationId& id, uint64_t from_epoch,
             FetchAnswer answer);

 private:
  struct Job;
  class Place;  // under way; gives the place back when it goes

  absl::StatusOr<std::shared_ptr<Place>> Enter(const TenantView& tenant);
  void Leave(uint32_t tenant);

  // THREAD: the executor.
  void Verify(const std::shared_ptr<Job>& job);
  absl::Status Apply(Job& job);
  absl::StatusOr<bool> IsRepeated(Job& job, const MembershipChain& chain) const;
  absl::StatusOr<std::vector<std::string>> ReadBundles(const TenantView& tenant, const InstantiationId& id,
                                                       uint64_t from_epoch) const;
  // THREAD: the store's writer.
  absl::Status Prepare(storage::Transaction& transaction, Job& job);
  absl::StatusOr<bool> CompareAndSet(storage::Transaction& transaction, const Job& job);
  absl::Status CountNew(storage::Transaction& transaction, const Job& job);
  absl::Status RegisterDevices(storage::Transaction& transaction, Job& job);
  absl::Status AppendToKeyring(storage::Transaction& transaction, Job& job);
  void Done(Job& job, const absl::Status& status);

  void Refuse(const Job& job, const absl::Status& why) const;  // answers and reports

  const Parts parts_;
  const Options options_;
  RateLimiter creations_;
  absl::Mutex mutex_;
  size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<uint32_t, size_t> under_way_of_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend
