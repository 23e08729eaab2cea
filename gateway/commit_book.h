// The commits of the instantiation as this gateway has verified them, in a table of their own. A next hop is
// not trusted with the places in keyring that are reserved for commits: whatever stood there first would keep
// the genuine one out, for everybody behind this gateway. So nothing enters there but the successor of what
// is known. And because they do not lie in the topic's log alone, that may be trimmed. docs/decisions/0015.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/membership/chain.h"
#include "core/transport/group_view.h"
#include "gateway/rows.h"

namespace keystead::gateway {

// Not thread-safe where nothing else is said: belongs to the downlink's verifying thread.
class CommitBook {
 public:
  CommitBook(storage::LogStore* store, TenantName tenant, const Clock* clock)
      : store_(store), tenant_(std::move(tenant)), clock_(clock) {}

  // Begins anew with what the store has of an instantiation, once all that was submitted to it is committed
  // or has failed. Blocks; not on the store's thread. Errors are the store's; then no commit is known.
  absl::Status Load(const InstantiationId& id);

  enum class Verdict {
    kSuccessor,  // to be stored at once; the next is measured against it
    kKnown,
    kRefused,  // reported
    kAhead,    // an epoch that does not follow yet: something in between has not come. Reported
  };
  // A group of stream zero.
  Verdict Judge(const GroupView& group);
  // A bundle without its place; the group to store when it is the successor, null when it is known. Statuses
  // are those of MembershipChain::Apply.
  absl::StatusOr<Payload> JudgeBundle(ByteView bundle);

  uint64_t next_epoch() const { return chain_.has_value() && !chain_->empty() ? chain_->epoch() + 1 : 0; }

  // THREAD: the store's writer, inside Prepare. -------------------------------------------------------------
  // The commit stands at this offset of the topic's log.
  void Store(storage::Transaction& transaction, const GroupHeader& header, uint64_t offset,
             std::string_view group) const;

 private:
  absl::StatusOr<Payload> Apply(const CommitBundle& bundle);

  storage::LogStore* const store_;
  const TenantName tenant_;
  const Clock* const clock_;
  std::optional<MembershipChain> chain_;
};

// THREAD: the store's writer, inside Prepare. All commits of an instantiation, in order of epochs.
absl::StatusOr<std::vector<CommitRow>> CommitsOf(storage::Transaction& transaction,
                                                 const InstantiationId& id);
// When this gateway took a commit; none when it does not have it.
absl::StatusOr<std::optional<absl::Time>> TakenAt(storage::Transaction& transaction,
                                                  const InstantiationId& id, uint64_t epoch);

}  // namespace keystead::gateway
