// The part of a Publish call that runs only while an attack is armed: requests taken apart and put together
// again as the engine decides.
#include <utility>

#include "absl/time/clock.h"
#include "core/base/limits.h"
#include "infra-sim/publish_call.h"

namespace keystead::infra {

void PublishCall::Attack(uint64_t number, const v1::PublishRequest& request) {
  Message building;
  built_bytes_ = 0;
  for (int i = 0; i < request.groups_size(); ++i) {
    const auto group = static_cast<uint32_t>(i);
    auto decision = hop_.engine->Decide(hop_.listener, Direction::kUp, request.groups(i));
    if (decision.has_value() && decision->hold_back) {
      ledger_.Retain(number);
      hop_.timer->After(decision->patience, [weak = weak_from_this()] {
        const auto call = weak.lock();
        if (call == nullptr) return;
        absl::MutexLock lock(&call->mutex_);
        call->ReleaseHeldNow();
        call->PumpUp();
      });
      held_.push_back({std::move(decision->pieces), number, group});
      continue;
    }
    if (decision.has_value()) {
      Obey(*std::move(decision), number, group, building);
    } else {
      Add(request.groups(i), {.request = number, .group = group}, building);
    }
    ReleaseHeld(building);
  }
  Flush(building);
  ledger_.Release(number);
  Answer(ledger_.Advance());
}

void PublishCall::Obey(AttackEngine::Decision decision, uint64_t number, uint32_t group, Message& building) {
  if (decision.withhold_ack) ledger_.Withhold(number);
  if (decision.end_call_after > absl::ZeroDuration()) EndAfter(decision.end_call_after);
  if (decision.delay > absl::ZeroDuration()) {
    Flush(building);
    building.not_before = absl::Now() + decision.delay;
  }
  for (AttackEngine::Decision::Out& piece : decision.pieces) {
    AckLedger::Origin origin;
    if (!piece.extra) origin.request = number;
    origin.group = group;
    origin.altered = !piece.injections.empty();
    origin.injections = std::move(piece.injections);
    Add(std::move(piece.group), std::move(origin), building);
  }
}

void PublishCall::Add(std::string group, AckLedger::Origin origin, Message& building) {
  constexpr size_t kMostBytes = limits::kMaxMessageBytes - (64 << 10);  // room for the framing of the groups
  if (building.request.groups_size() > 0 &&
      (static_cast<size_t>(building.request.groups_size()) >= limits::kMaxGroupsPerRequest ||
       built_bytes_ + group.size() > kMostBytes)) {
    Flush(building);
  }
  built_bytes_ += group.size();
  building.request.add_groups(std::move(group));
  building.origins.push_back(std::move(origin));
}

void PublishCall::Flush(Message& building) {
  if (building.request.groups_size() > 0) {
    for (const uint64_t request : AckLedger::RequestsOf(building.origins)) ledger_.Retain(request);
    queue_.push_back(std::move(building));
  }
  building = Message{};
  built_bytes_ = 0;
}

void PublishCall::ReleaseHeld(Message& building) {
  for (HeldBack& held : std::exchange(held_, {})) {
    for (AttackEngine::Decision::Out& piece : held.pieces) {
      Add(std::move(piece.group), {.request = held.request, .group = held.group}, building);
    }
    Flush(building);  // its request must be retained by a message before the hold on it is released
    ledger_.Release(held.request);
  }
}

void PublishCall::ReleaseHeldNow() {
  if (held_.empty()) return;
  Message building;
  ReleaseHeld(building);
}

void PublishCall::EndAfter(absl::Duration delay) {
  hop_.timer->After(delay, [weak = weak_from_this()] {
    const auto call = weak.lock();
    if (call == nullptr) return;
    absl::MutexLock lock(&call->mutex_);
    call->forced_status_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "try again");
    call->up_context_.TryCancel();
  });
}

}  // namespace keystead::infra
