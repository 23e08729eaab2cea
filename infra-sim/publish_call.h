// The two halves of a Publish call and what lies between them. Internal to publish_pass.cc and
// publish_attack.cc.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "infra-sim/ack_ledger.h"
#include "infra-sim/hop.h"
#include "infra-sim/publish_pass.h"

namespace keystead::infra {

// Kept alive by its two reactors. `mutex_` belongs to this call alone; operations are started under it, so
// that none can be started after the end of its side. Callbacks of operations never run inside the start of
// one.
class PublishCall : public std::enable_shared_from_this<PublishCall> {
 public:
  PublishCall(const Hop& hop, const Upstream* upstream) : token_(hop.calls), hop_(hop), upstream_(upstream) {}
  grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* Start(
      grpc::CallbackServerContext& context);

 private:
  class Down;
  class Up;
  struct Message {
    v1::PublishRequest request;
    uint64_t whole = 0;  // the sender's request, passed on unchanged
    std::vector<AckLedger::Origin> origins;
    absl::Time not_before = absl::InfinitePast();
  };
  struct HeldBack {
    std::vector<AttackEngine::Decision::Out> pieces;
    uint64_t request = 0;
    uint32_t group = 0;
  };

  // Reactions of the sender's side.
  void DownRead(bool ok);
  void DownWritten(bool ok);
  void DownCancelled();
  // Reactions of the next hop's side.
  void UpRead(bool ok);
  void UpWritten(bool ok);
  void UpDone(const grpc::Status& status);

  void Take(v1::PublishRequest request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PumpUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PumpDown() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Answer(const AckLedger::Answer& answer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeAfter(absl::Duration delay);

  // publish_attack.cc
  void Attack(uint64_t number, const v1::PublishRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Obey(AttackEngine::Decision decision, uint64_t number, uint32_t group, Message& building)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Add(std::string group, AckLedger::Origin origin, Message& building)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Flush(Message& building) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReleaseHeld(Message& building) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReleaseHeldNow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAfter(absl::Duration delay);

  const CallGauge::Token token_;
  const Hop& hop_;
  const Upstream* const upstream_;
  grpc::ClientContext up_context_;
  Down* down_ = nullptr;  // valid until finished_
  Up* up_ = nullptr;      // valid until up_closed_

  absl::Mutex mutex_;
  AckLedger ledger_ ABSL_GUARDED_BY(mutex_);
  v1::PublishRequest reading_;  // of the one read in flight on the sender's side
  v1::PublishResponse up_reading_;
  std::optional<Message> writing_ ABSL_GUARDED_BY(mutex_);
  std::deque<Message> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<HeldBack> held_ ABSL_GUARDED_BY(mutex_);
  size_t built_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of the message being built by Attack
  v1::PublishResponse pending_answer_ ABSL_GUARDED_BY(mutex_);
  bool answer_pending_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<v1::PublishResponse> answering_ ABSL_GUARDED_BY(mutex_);
  bool down_reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool down_closed_ ABSL_GUARDED_BY(mutex_) = false;  // the sender has said all
  bool down_broken_ ABSL_GUARDED_BY(mutex_) = false;  // a write to the sender failed
  bool up_closed_ ABSL_GUARDED_BY(mutex_) = false;    // nothing more may be started towards the next hop
  bool up_half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> up_status_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> forced_status_ ABSL_GUARDED_BY(mutex_);  // ATTACK_DROP ends the call with it
};

}  // namespace keystead::infra
