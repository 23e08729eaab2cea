// How a membership commit gets into the store: signatures are verified on the executor, its place is decided
// in the single writer's order. docs/protocol.md, "What the backend checks".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/audit_log.h"
#include "backend/hop.h"
#include "backend/instantiations.h"
#include "backend/tenant_view.h"
#include "core/base/call_places.h"
#include "core/base/limits.h"
#include "core/base/rate_limiter.h"
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
    Rate new_instantiations_of_peer{.per_second = 25, .burst = 500};
    Rate tries_of_peer{.per_second = 20, .burst = 500};  // bundles to look at, whatever becomes of them
    // What verified and is new: only owners spend these, a stranger cannot use up another's.
    Rate commits{.per_second = 1, .burst = 256};  // of an instantiation
    Rate commits_of_tenant{.per_second = 100, .burst = 4000};
    CallPlaces::Limits submits;    // being worked on
    CallPlaces::Limits fetches;    // being worked on or on their way to the caller
    size_t fetch_bytes = 3 << 20;  // of bundles in one answer; at least one
    const Clock* clock = &Clock::System();
  };
  struct Parts {  // nothing is owned
    storage::LogStore* store = nullptr;
    RecordLog* log = nullptr;
    Executor* executor = nullptr;
    Instantiations* instantiations = nullptr;
    BackendHop* hop = nullptr;
    FairQueue* queue = nullptr;           // on the way to the store
    at_rest::Ciphers* ciphers = nullptr;  // null: the store does not encrypt
    const AuditLog* audit = nullptr;
  };
  CommitIntake(const Parts& parts, const Options& options);

  using Caller = std::shared_ptr<const Principal>;
  using SubmitAnswer = std::function<void(absl::StatusOr<AcceptedCommit>)>;
  // What a request names.
  struct Target {
    Caller caller;
    TenantView tenant;  // the caller's own
    TenantName named;
    InstantiationId id;
    bool elsewhere;  // `named` is another tenant, or none: looked for among the caller's, and not found
  };
  struct Fetched {
    std::vector<std::string> bundles;
    CallPlaces::Place place;  // to be held until the caller has taken them: they wait in memory so long
  };
  using FetchAnswer = std::function<void(absl::StatusOr<Fetched>)>;

  // Answers once, on another thread, when the commit is durable and every later publish and subscription
  // meets its roster. The same commit again gets the same answer, whatever its carrier did to the list of
  // acceptances, which nobody signed: the bundle that came first is the one that is served.
  //   NOT_FOUND            the target is elsewhere, or was erased
  //   INVALID_ARGUMENT     malformed or badly signed; also whatever would tell a stranger that the id exists
  //   ABORTED              its parent is not the head
  //   FAILED_PRECONDITION  a device has accepted another owner since, or the acceptance was used before
  //   RESOURCE_EXHAUSTED   too many calls or instantiations; calls, commits or new instantiations too fast
  void Submit(const Target& target, std::string bundle, SubmitAnswer answer);

  // The bundles from an epoch on, oldest first, as many as fit; none behind the head. For members and
  // couriers of the present roster; NOT_FOUND for all others.
  void Fetch(const Target& target, uint64_t from_epoch, const FetchAnswer& answer);

 private:
  struct Job;

  // THREAD: the executor.
  void Verify(const std::shared_ptr<Job>& job);
  absl::Status Apply(Job& job);
  absl::Status MakeKeys(const Job& job) const;
  template <class Source>  // a Transaction or a LogStore
  static absl::Status NotErased(Source& source, const Job& job);
  absl::Status Repeat(Job& job, std::shared_ptr<const MembershipChain> chain, const SignedCommit& known,
                      const CommitBundle& bundle) const;
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
  CallPlaces submits_;
  CallPlaces fetches_;
  RateLimiter tries_;      // by peer
  RateLimiter commits_;    // by instantiation
  RateLimiter of_tenant_;  // commits
  RateLimiter founders_;   // by peer
  RateLimiter creations_;  // by tenant
};

}  // namespace keystead::backend
