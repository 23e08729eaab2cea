#include "gateway/lan_hop.h"

#include <utility>

#include "core/observe/log.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "gateway/commit_book.h"
#include "gateway/rows.h"

namespace keystead::gateway {
namespace {

constexpr absl::Duration kComeBackForQueue = absl::Milliseconds(500);

absl::Status NotOursYet() { return absl::UnavailableError("this gateway belongs to no instantiation yet"); }
absl::Status OwnTermOver() { return absl::UnavailableError("this gateway's own term is over"); }

}  // namespace

absl::StatusOr<std::shared_ptr<const Principal>> LanHop::Authenticate(
    const grpc::ServerContextBase& context) {
  return PrincipalOf(context, *options_.resolver);
}
absl::Status LanHop::CheckStillValid(const Principal& principal) {
  return options_.resolver->CheckStillValid(principal);
}
absl::Status LanHop::Submit(const Principal&, std::unique_ptr<storage::Task> task, const TaskLoad&) {
  return options_.store->Submit(std::move(task));
}

absl::StatusOr<uint32_t> LanHop::Admit(storage::Transaction& transaction, const Principal& principal,
                                       const GroupView& group) {
  static_cast<void>(transaction);
  if (absl::Status status = CheckServing(); !status.ok()) return status;
  if (absl::Status status = gate_->MayPublish(principal, group); !status.ok()) {
    if (absl::IsUnavailable(status)) {
      options_.on_behind();
    } else {
      refused_.fetch_add(1, std::memory_order_relaxed);
    }
    return status;
  }
  if (!options_.forwarder->HasRoom(group.header().topic.kind(), admitted_bytes_ + group.bytes().size())) {
    pushed_back_.fetch_add(1, std::memory_order_relaxed);
    admitted_bytes_ = 0;
    return LimitReached(peer_limits::kGatewayQueue, kComeBackForQueue);
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
      options_.on_stored(*group.header, group.outcome.log.ref, group.outcome.stored->size());
  }
  return absl::OkStatus();
}

void LanHop::Committed(const Principal&, std::span<const StoredGroup> groups, const absl::Status& status) {
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
  if (absl::Status status = CheckServing(); !status.ok()) return status;
  const MembershipChain& chain = gate_->chain();
  if (demand.tenant != chain.tenant() || demand.instantiation != chain.id())
    return NoSuchInstantiation(principal, "subscription: not of this gateway's home");
  if (absl::Status status = gate_->MaySubscribe(principal, demand.topics); !status.ok()) return status;
  return kTenantNumber;
}

// What is taken from the LAN must be able to go on: the next hop refuses a courier whose term is over.
absl::Status LanHop::CheckServing() const {
  if (gate_ == nullptr) return NotOursYet();
  if (own_term_ <= options_.clock->Now()) return OwnTermOver();
  return absl::OkStatus();
}

void LanHop::AskMayFollow(std::shared_ptr<const Principal> peer, const InstantiationId& id,
                          const std::function<void(const absl::Status&)>& answer) {
  const absl::Status submitted = options_.store->Submit(storage::MakeTask(
      0,
      [this, peer = std::move(peer), id](storage::Transaction&) -> absl::Status {
        if (absl::Status status = CheckServing(); !status.ok()) return status;
        if (gate_->chain().id() != id)
          return NoSuchInstantiation(*peer, "registry: not of this gateway's home");
        const Topic keyring = Topic::Keyring();
        return gate_->MaySubscribe(*peer, {&keyring, 1});
      },
      answer, storage::Durability::kBuffered));
  if (!submitted.ok()) answer(submitted);
}

// The roster
// ------------------------------------------------------------------------------------------------------

void LanHop::SetChain(std::shared_ptr<const MembershipChain> chain) {
  absl::MutexLock lock(&mutex_);
  waiting_.reset();
  const absl::Status submitted = options_.store->Submit(storage::MakeTask(
      0, [this, chain](storage::Transaction& transaction) { return Enter(transaction, chain); },
      [this](const absl::Status&) { EndForbiddenCalls(); }, storage::Durability::kBuffered));
  if (submitted.ok()) return;
  Log(LogLevel::kWarning, "roster_waits", {{"reason", Std(submitted.message())}});
  waiting_ = std::move(chain);
}

absl::Status LanHop::Enter(storage::Transaction& transaction,
                           const std::shared_ptr<const MembershipChain>& chain) {
  if (chain == nullptr) {
    gate_.reset();
    own_term_ = absl::InfinitePast();
    belongs_ = false;
    return absl::OkStatus();
  }
  const RosterEntry* const own = chain->roster().FindByTransport(options_.self);
  own_term_ = own == nullptr                ? absl::InfinitePast()
              : own->expires_at.has_value() ? absl::FromUnixSeconds(*own->expires_at)
                                            : absl::InfiniteFuture();
  uint64_t known = 0;
  if (gate_ == nullptr || gate_->chain().id() != chain->id()) {
    gate_ = std::make_unique<RosterGate>(
        chain, RosterGateOptions{.wait_for_next_epoch = true, .clock = options_.clock});
  } else {
    known = gate_->chain().epoch();
    gate_->SetChain(chain);
  }
  belongs_ = true;
  epoch_ = gate_->chain().epoch();
  options_.on_roster();
  return NoteEndedEpochs(transaction, *chain, known);
}

// Queues drain from when this gateway took the commit that ended their epoch; the time in the commit is the
// owner's word, whose clock may be wrong.
absl::Status LanHop::NoteEndedEpochs(storage::Transaction& transaction, const MembershipChain& chain,
                                     uint64_t after) {
  for (uint64_t epoch = after + 1; epoch <= chain.epoch(); ++epoch) {
    const absl::StatusOr<std::optional<absl::Time>> taken = TakenAt(transaction, chain.id(), epoch);
    if (!taken.ok()) return taken.status();
    if (taken->has_value()) gate_->EpochEnded(epoch - 1, **taken);
  }
  return absl::OkStatus();
}

void LanHop::EndForbiddenCalls() {
  const absl::Status serving = CheckServing();
  const size_t ended = service_->EndCalls(
      [this, &serving](const OpenCall& call) {
        if (!serving.ok()) return true;
        if (call.demand == nullptr) return !gate_->StillMayRead(call.principal, {}).ok();  // still a member
        return call.demand->instantiation != gate_->chain().id() ||
               !gate_->StillMayRead(call.principal, call.demand->topics).ok();
      },
      serving.ok() ? NoSuchInstantiation() : serving);
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

LanHop::Stats LanHop::GetStats() const { return {refused_, pushed_back_, belongs_, epoch_}; }

}  // namespace keystead::gateway
