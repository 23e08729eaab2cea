// What a hop lets in, decided from the public membership of one instantiation: who may publish what, who may
// read what. The hop sees the certificate of who is connected, not of who wrote: a sender publishes itself,
// or a courier that the roster names carries for it. docs/protocol.md, "What the backend checks".
//
// Says nothing about content: whether a record opens, is signed or is new is for its readers to find out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/identity/principal.h"
#include "core/membership/chain.h"
#include "core/transport/group_view.h"

namespace keystead {

// The one answer to "not yours" and to "does not exist": nobody learns which it was.
absl::Status NoSuchInstantiation();
// The same, to a peer that is known by its certificate, and reported: `what` it asked for.
absl::Status NoSuchInstantiation(const Principal& peer, std::string_view what);

struct RosterGateOptions {
  // How long records of an epoch are taken after the commit that ended it: journals and queues drain.
  absl::Duration drain = absl::Hours(24 * 30);
  // A hop that learns commits from its own next hop may meet a sender that is one ahead: UNAVAILABLE (send it
  // again later) instead of FAILED_PRECONDITION, for a sender's own connection only; a courier would be held
  // up by one bad sender.
  bool wait_for_next_epoch = false;
  size_t max_remembered = 1024;  // decisions, then it starts anew
  const Clock* clock = &Clock::System();
};

// Not thread-safe: lives on the store's writer thread.
class RosterGate {
 public:
  // `chain` is not empty.
  RosterGate(std::shared_ptr<const MembershipChain> chain, const RosterGateOptions& options);
  explicit RosterGate(std::shared_ptr<const MembershipChain> chain)
      : RosterGate(std::move(chain), RosterGateOptions()) {}

  const MembershipChain& chain() const { return *chain_; }
  const std::shared_ptr<const MembershipChain>& shared_chain() const { return chain_; }

  // Every call that follows meets the new roster.
  void SetChain(std::shared_ptr<const MembershipChain> chain);
  // When this hop took the commit that ended `epoch`; otherwise the time that the commit itself names counts.
  void EpochEnded(uint64_t epoch, absl::Time at);
  // The device with this key now belongs elsewhere: whatever the roster says, it neither writes nor reads
  // here.
  void Evict(const Digest& device_ckt);
  void Readmit(const Digest& device_ckt);

  // Whether `principal` may have this group stored. What was decided for a header is remembered until the
  // chain or a term changes: one look-up by address for every further group. Refusals are Reported.
  //   NOT_FOUND            the principal has nothing to do with this instantiation (or is of another tenant)
  //   PERMISSION_DENIED    not in that epoch's roster, not this topic, expired, evicted, or not a courier
  //   FAILED_PRECONDITION  an epoch that is over and drained, or that this hop does not know
  //   INVALID_ARGUMENT     no stream (all zero is reserved for commits, which come through the Registry)
  //   UNAVAILABLE          see wait_for_next_epoch
  absl::Status MayPublish(const Principal& principal, const GroupView& group);

  // Whether `principal` may read all of `topics` now. Same statuses; a topic that no member writes or is
  // granted answers NOT_FOUND, so that nobody opens logs at will.
  absl::Status MaySubscribe(const Principal& principal, std::span<const Topic> topics) const;
  // The same without a report, for calls that are already open.
  absl::Status StillMayRead(const Principal& principal, std::span<const Topic> topics) const;

  // The earliest term of a member of the present roster after `now`; InfiniteFuture when there is none.
  absl::Time NextExpiry(absl::Time now) const;

 private:
  struct Decision {
    absl::Status status;
    absl::Time until = absl::InfiniteFuture();  // then decide anew
  };
  struct Remembered {
    std::shared_ptr<const GroupHeader> header;  // keeps the address from being used again
    std::string peer;
    Decision decision;
  };

  Decision Decide(const Principal& principal, const GroupHeader& header) const;
  // Of the member that wrote, in the roster of its epoch.
  Decision DecideSender(const GroupHeader& header, bool own_connection) const;
  absl::Status CheckMember(const RosterEntry& entry, absl::Time now) const;
  absl::Status CheckTopic(const RosterEntry& reader, const Topic& topic) const;
  absl::Time EndOf(uint64_t epoch) const;

  const RosterGateOptions options_;
  std::shared_ptr<const MembershipChain> chain_;
  std::map<uint64_t, absl::Time> ended_;
  absl::flat_hash_set<Digest> evicted_;  // thumbprints
  absl::flat_hash_map<const GroupHeader*, Remembered> remembered_;
};

}  // namespace keystead
