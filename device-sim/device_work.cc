// What an owned device does: measures, reports, obeys.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/membership/signed_object.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/sealing/command.h"
#include "device-sim/device.h"
#include "device-sim/readings.h"

namespace keystead::device_sim {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);
constexpr absl::Duration kStoreMemberEvery = absl::Minutes(1);
constexpr size_t kMaxDetail = 128;  // of an answer

std::string OperationText(const Operation& operation) {
  return operation.argument.has_value() ? absl::StrCat(operation.name, " ", *operation.argument)
                                        : operation.name;
}

}  // namespace

absl::Duration Device::Step() {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = world_.clock->Uptime();
  if (!running()) return now + kTick;
  if (world_.sample && now >= next_sample_) {
    Sample(world_.clock->Now());
    next_sample_ =
        std::max(next_sample_ + world_.interval, now);  // what was slept through is not made up for
  }
  if (now >= next_tick_) Tick();
  return world_.sample ? std::min(next_sample_, next_tick_) : next_tick_;
}

void Device::Sample(absl::Time now) {
  const std::vector<device_sim::Sample> samples = config_.signal->Take(now);
  if (!samples.empty()) {
    const std::string body = EncodeReadings(samples);
    Warn("not_sent", telemetry_->Send(kinds::kReadings, AsBytes(body)).status());
    Warn("not_flushed", telemetry_->Flush());
  } else if (config_.signal->Exhausted() && !std::exchange(exhausted_told_, true)) {
    Log(LogLevel::kInfo, "replay_ended", {{"device", config_.id}});
  }
}

void Device::ReportState(const std::vector<device_sim::Sample>& samples) {
  if (samples.empty()) return;
  Warn("not_sent", state_->SendSigned(kinds::kReport, AsBytes(EncodeReadings(samples))).status());
  Warn("not_flushed", state_->Flush());
}

// A reader that asks becomes sure within a second that it hears the device now.
void Device::Tick() {
  last_tick_ = world_.clock->Uptime();
  next_tick_ = last_tick_ + kTick;
  if (!running()) return;
  const bool checkpoint = std::exchange(probed_, false);
  Warn("tick_failed", telemetry_->Tick(checkpoint));
  Warn("tick_failed", state_->Tick(checkpoint));
  commands_->Tick();
  TickSafety();
  TickMembership();
  if (claims_ != nullptr) claims_->Tick(last_tick_);
}

// Whoever cannot be reached cannot be told to stop. A connection that stands says nothing: acknowledgements
// do. What was switched off stays so until somebody commands otherwise.
void Device::TickSafety() {
  if (config_.safe_operation.empty()) return;
  const uint64_t durable = telemetry_->GetStats().durable;
  const bool nothing_to_say = connected_ == 1 && telemetry_->Backlog() == 0;
  if (!heard_at_.has_value() || durable != heard_ || nothing_to_say) {
    heard_at_ = last_tick_;
    heard_ = durable;
    if (std::exchange(safe_, false)) Log(LogLevel::kInfo, "safe_output_over", {{"device", config_.id}});
    return;
  }
  if (safe_ || last_tick_ - *heard_at_ < config_.safe_after) return;
  safe_ = true;
  ++went_safe_;
  const absl::StatusOr<std::vector<device_sim::Sample>> state =
      config_.signal->Apply(config_.safe_operation, world_.clock->Now());
  Log(LogLevel::kWarning, "safe_output",
      {{"device", config_.id},
       {"operation", config_.safe_operation},
       {"milliseconds", absl::ToInt64Milliseconds(last_tick_ - *heard_at_)}});
  Warn("safe_output_failed", state.status());
  if (state.ok()) ReportState(*state);
}

// Keys that nobody needs any more, the lease, and what of the member is not stored yet.
void Device::TickMembership() {
  const std::vector<Reader::SpentKey> spent = commands_->SpentKeys();
  for (const Reader::SpentKey& key : spent) member_->ring().DropSender(key.epoch, key.topic, key.sender);
  const bool forgot = !member_->ForgetOldKeys().empty();
  if (!spent.empty() || forgot) {
    commands_->MembershipChanged();
    member_changed_ = true;
  }
  // At most once a minute: a hop may hand out the heads of a year one after the other.
  if (member_changed_ && last_tick_ - member_stored_at_ >= kStoreMemberEvery)
    Warn("member_not_stored", StoreMember());
  if (const std::optional<absl::Duration> charge = lease_.DueCharge(last_tick_); charge.has_value()) {
    SaveLease(*world_.store, config_.slot, *charge);
    lease_.MarkCharged(*charge);
  }
}

absl::Status Device::SendLoad(ByteView body) {
  absl::MutexLock lock(&mutex_);
  if (!running()) return absl::UnavailableError("the device does not belong to an instantiation yet");
  return telemetry_->Send(kinds::kReadings, body).status();
}

absl::Status Device::FlushLoad() {
  absl::MutexLock lock(&mutex_);
  return running() ? telemetry_->Flush() : absl::OkStatus();
}

size_t Device::LoadBacklog() const {
  absl::MutexLock lock(&mutex_);
  return telemetry_ != nullptr ? telemetry_->Backlog() : 0;
}

// Commands
// --------------------------------------------------------------------------------------------------------------

void Device::OnCommand(const ReceivedCommand& received) {
  absl::StatusOr<Answer> answer = Obey(received);
  if (!answer.ok()) {
    // Neither acted on nor answered: whoever sent it hears nothing and may ask again.
    Log(LogLevel::kError, "command_not_judged",
        {{"device", config_.id}, {"reason", Std(answer.status().message())}});
    return;
  }
  answer->command_hash = received.command_hash;
  answer->detail.resize(std::min(answer->detail.size(), kMaxDetail));
  const bool done = answer->result == CommandResult::kDone;
  ++(done ? commands_done_ : commands_refused_);
  Log(done ? LogLevel::kInfo : LogLevel::kWarning, done ? "command_done" : "command_refused",
      {{"device", config_.id},
       {"signer", received.sender.ToHex()},
       {"counter", answer->counter},
       {"command", answer->command_hash.ToHex()},
       {"result", CommandResultName(answer->result)},
       {"detail", answer->detail}});
  if (!done) {
    Report(
        {.kind = SecurityEventKind::kCommandRefused,
         .tenant = config_.tenant.str(),
         .instantiation = member_->identity().id.ToHex(),
         .topic = Topic::Of(TopicKind::kCommand, member_->identity().self).str(),
         .sender = received.sender.ToHex(),
         .stream = "",
         .epoch = received.epoch,
         .sequence = 0,
         .peer = "",
         .detail = absl::StrCat("command ", answer->counter, ": ", Absl(CommandResultName(answer->result)))});
  }
  if (!running()) return;
  Warn("answer_not_sent", state_->SendSigned(kinds::kAnswer, EncodeAnswer(*answer)).status());
  if (done) ReportState(config_.signal->Take(world_.clock->Now()));
  Warn("answer_not_flushed", state_->Flush());
}

// Judge, store the mark, act: in this order, so that a crash at any point leaves a command done at most once.
absl::StatusOr<Answer> Device::Obey(const ReceivedCommand& received) {
  Answer answer;
  const absl::StatusOr<Command> command = ParseCommand(received.payload);
  if (!command.ok()) {
    answer.result = CommandResult::kUnsupported;
    answer.detail = "malformed";
    return answer;
  }
  answer.counter = command->counter;
  CommandGate gate;
  gate.self = member_->identity().self;
  gate.boot = boot_;
  gate.uptime = world_.clock->Uptime();
  gate.chain = &member_->chain();
  gate.lease_over = lease_.Over(gate.uptime);
  answer.result = JudgeCommand(gate, *command, received.sender, received.epoch, marks_->Of(received.sender));
  if (answer.result != CommandResult::kDone) return answer;
  KS_RETURN_IF_ERROR(marks_->Raise(received.sender, command->counter));
  // Storing took time, and the command may have run out meanwhile.
  if (world_.clock->Uptime() > command->until_uptime) {
    answer.result = CommandResult::kExpired;
    return answer;
  }
  const absl::StatusOr<std::vector<device_sim::Sample>> state =
      config_.signal->Apply(OperationText(command->operation), world_.clock->Now());
  if (!state.ok()) {
    answer.result = CommandResult::kUnsupported;
    answer.detail = std::string(Std(state.status().message()));
  }
  return answer;
}

}  // namespace keystead::device_sim
