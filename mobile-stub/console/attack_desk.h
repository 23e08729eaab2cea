// Attacks on this home's own path, by equipment that stands there to be hostile (keystead.v1.InfraControl),
// and what became of each record that was attacked: refused by the next hop, noticed by this app, or without
// effect.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "keystead/v1/infra.pb.h"
#include "mobile-stub/console/reader_notes.h"
#include "mobile-stub/console/remote.h"

namespace keystead::console {

// Thread-safe; asks one at a time. Tells of attacks that were armed here, the newest kMaxAttacks of them.
class AttackDesk {
 public:
  static constexpr size_t kMaxAttacks = 30;

  // `notes` and `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<AttackDesk>> Open(std::vector<RemoteOptions> remotes,
                                                          const ReaderNotes* notes, const Clock* clock);
  ~AttackDesk();

  const std::vector<RemoteOptions>& remotes() const { return remotes_; }
  // NOT_FOUND: there is no such equipment. Otherwise what it says.
  absl::StatusOr<uint64_t> Arm(const std::string& remote, const v1::ArmRequest& request);
  // Every attack on all of them, whoever armed it. The first error; the others were disarmed all the same.
  absl::Status DisarmAll();
  // As the API says it (openapi.json, "Attacks").
  nlohmann::json Report();

 private:
  struct Peer;
  struct Attack {
    std::string remote;
    uint64_t number = 0;
    v1::ArmRequest request;
    int64_t armed_us = 0;
    v1::InjectionsResponse injections;  // as asked last
  };
  AttackDesk(std::vector<RemoteOptions> remotes, const ReaderNotes* notes, const Clock* clock);
  Peer* Find(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(asking_);
  nlohmann::json PeerJson(Peer& peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(asking_);
  nlohmann::json AttackJson(Attack& attack, bool armed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(asking_);
  nlohmann::json InjectionJson(const v1::Injection& injection) const;

  const std::vector<RemoteOptions> remotes_;
  const ReaderNotes& notes_;
  const Clock& clock_;
  absl::Mutex asking_;
  std::vector<std::unique_ptr<Peer>> peers_ ABSL_GUARDED_BY(asking_);
  std::deque<Attack> attacks_ ABSL_GUARDED_BY(asking_);  // the newest first
};

}  // namespace keystead::console
