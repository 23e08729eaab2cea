// What comes in `keyring`: the app's own and others' commits, probes and heads. Takes each record once,
// notices what comes twice or twice differently, and keeps the state folder in step, because another process
// of this app may have made the commit.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "mobile-stub/engine.h"

namespace keystead::mobile {

// Not thread-safe.
class KeyringInbox {
 public:
  struct Events {
    std::function<void()> after_change;  // a new epoch: chain and keys are different now
    std::function<void(const StreamPlace& place, uint64_t sequence)> on_duplicate;
  };
  // `member` must outlive it. Security events are reported, not returned.
  KeyringInbox(const Engine& engine, Member* member, Events events)
      : engine_(engine), member_(*member), events_(std::move(events)) {}

  void Take(const StreamPlace& place, uint64_t sequence, ByteView content);

 private:
  void TakeCommit(const StreamPlace& place, uint64_t sequence, ByteView content);
  absl::StatusOr<bool> TakeNewCommit(const StreamPlace& place, uint64_t sequence, ByteView content,
                                     const CommitBundle& bundle);
  void TakeNotice(const StreamPlace& place, uint64_t sequence, ByteView content);

  const Engine& engine_;
  Member& member_;
  const Events events_;
  std::map<std::pair<StreamId, uint64_t>, Digest> notices_;  // verified ones
  std::set<Digest> commits_;
};

}  // namespace keystead::mobile
