#include "gateway/lan_hop.h"

#include <utility>

#include "core/observe/log.h"
#include "core/transport/authorization.h"
#include "gateway/rows.h"

namespace keystead::gateway {
namespace {

absl::Status NotOursYet() { return absl::UnavailableError("this gateway belongs to no instantiation yet"); }

}  // namespace

absl::StatusOr<std::shared_ptr<const Principal>> LanHop::Authenticate(
    const grpc::ServerContextBase& context) {
  return PrincipalOf(context, *options_.resolver);
}
absl::Status LanHop::CheckStillValid(const Principal& principal) {
  return options_.resolver->CheckStillValid(principal);
}
absl::Status LanHop::Submit(const Principal& principal, std::unique_ptr<storage::Task> task) {
  static_cast<void>(principal);
  return options_.store->Submit(std::move(task));
}

absl::StatusOr<uint32_t> LanHop::Admit(storage::Transaction& transaction, const Principal& principal,
                                       const GroupView& group) {
  static_cast<void>(transaction);
  if (gate_ == nullptr) return NotOursYet();
  if (absl::Status status = gate_->MayPublish(principal, group); !status.ok()) {
    if (!absl::IsUnavailable(status)) refused_.fetch_add(1, std::memory_order_relaxed);
    return status;
  }
  if (!options_.forwarder->HasRoom(group.header().topic.kind(), admitted_bytes_ + group.bytes().size())) {
    pushed_back_.fetch_add(1, std::memory_order_relaxed);
    admitted_bytes_ = 0;
    return absl::ResourceExhaustedError("the queue to the next hop is full");
  }
  admitted_bytes_ += group.bytes().size();
  return kTenantNumber;
}

absl::Status LanHop::Stored(storage::Transaction& transaction, const Principal& principal,
                            std::span<const StoredGroup> groups) {
  static_cast<void>(transaction), static_cast<void>(principal);
  admitted_bytes_ = 0;
  options_.forwarder->Stored(groups);
  for (const StoredGroup& group : groups) {
    if (group.outcome.offset.has_value())
      options_.on_stored(group.outcome.log.ref, group.outcome.stored->size());
  }
  return absl::OkStatus();
}

void LanHop::Committed(std::span<const StoredGroup> groups, const absl::Status& status) {
  options_.forwarder->Committed(groups, status);
  if (!status.ok()) return;
  for (const StoredGroup& group : groups) {
    if (group.header->topic.kind() == TopicKind::kKeyring && group.outcome.offset.has_value())
      return options_.on_keyring();
  }
}

absl::StatusOr<uint32_t> LanHop::AdmitSubscribe(storage::Transaction& transaction, const Principal& principal,
                                                const SubscribeDemand& demand) {
  static_cast<void>(transaction);
  if (gate_ == nullptr) return NotOursYet();
  const MembershipChain& chain = gate_->chain();
  if (demand.tenant != chain.tenant() || demand.instantiation != chain.id()) return NoSuchInstantiation();
  if (absl::Status status = gate_->MaySubscribe(principal, demand.topics); !status.ok()) return status;
  return kTenantNumber;
}

// The roster
// ------------------------------------------------------------------------------------------------------

void LanHop::SetChain(std::shared_ptr<const MembershipChain> chain) {
  absl::MutexLock lock(&mutex_);
  waiting_.reset();
  const absl::Status submitted = options_.store->Submit(storage::MakeTask(
      0,
      [this, chain](storage::Transaction&) {
        Enter(chain);
        return absl::OkStatus();
      },
      [this](const absl::Status&) { EndForbiddenCalls(); }, storage::Durability::kBuffered));
  if (submitted.ok()) return;
  Log(LogLevel::kWarning, "roster_waits", {{"reason", Std(submitted.message())}});
  waiting_ = std::move(chain);
}

void LanHop::Enter(std::shared_ptr<const MembershipChain> chain) {
  if (chain == nullptr) {
    gate_.reset();
    belongs_ = false;
    return;
  }
  if (gate_ == nullptr || gate_->chain().id() != chain->id()) {
    gate_ = std::make_unique<RosterGate>(
        std::move(chain), RosterGateOptions{.wait_for_next_epoch = true, .clock = options_.clock});
  } else {
    gate_->SetChain(std::move(chain));
  }
  belongs_ = true;
}

void LanHop::EndForbiddenCalls() {
  const size_t ended = service_->EndCalls(
      [this](const OpenCall& call) {
        if (gate_ == nullptr) return true;
        if (call.demand == nullptr) return !gate_->StillMayRead(call.principal, {}).ok();  // still a member
        return call.demand->instantiation != gate_->chain().id() ||
               !gate_->StillMayRead(call.principal, call.demand->topics).ok();
      },
      gate_ == nullptr ? NotOursYet() : NoSuchInstantiation());
  if (ended > 0) Log(LogLevel::kInfo, "calls_ended_by_roster", {{"calls", ended}});
  const absl::Time next =
      gate_ == nullptr ? absl::InfiniteFuture() : gate_->NextExpiry(options_.clock->Now());
  next_expiry_ = next == absl::InfiniteFuture() ? INT64_MAX : absl::ToUnixSeconds(next);
}

void LanHop::Tick() {
  std::optional<std::shared_ptr<const MembershipChain>> waiting;
  {
    absl::MutexLock lock(&mutex_);
    waiting = std::exchange(waiting_, std::nullopt);
  }
  if (waiting.has_value()) SetChain(*std::move(waiting));
  if (absl::ToUnixSeconds(options_.clock->Now()) < next_expiry_) return;
  options_.store
      ->Submit(storage::MakeTask(
          0, [](storage::Transaction&) { return absl::OkStatus(); },
          [this](const absl::Status&) { EndForbiddenCalls(); }, storage::Durability::kBuffered))
      .IgnoreError();  // the next tick tries again
}

LanHop::Stats LanHop::GetStats() const { return {refused_, pushed_back_, belongs_}; }

}  // namespace keystead::gateway
