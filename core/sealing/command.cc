#include "core/sealing/command.h"

#include "core/cose/cbor.h"

namespace keystead {
namespace {

bool IsOperationName(std::string_view name) {
  if (name.empty() || name.size() > 32) return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

}  // namespace

std::string_view CommandResultName(CommandResult result) {
  switch (result) {
    case CommandResult::kDone:
      return "done";
    case CommandResult::kReboot:
      return "reboot";
    case CommandResult::kExpired:
      return "expired";
    case CommandResult::kReplayed:
      return "replayed";
    case CommandResult::kNotPermitted:
      return "not permitted";
    case CommandResult::kUnsupported:
      return "unsupported";
    case CommandResult::kLeaseOver:
      return "lease over";
  }
  return "unsupported";
}

Bytes EncodeCommand(const Command& c) {
  cose::CborWriter w;
  w.Array(6).Bstr(c.target.view()).Bstr(c.signer.view()).Uint(c.counter).Bstr(c.boot.view());
  w.Uint(static_cast<uint64_t>(absl::ToInt64Milliseconds(c.until_uptime)));
  w.Array(2).Text(c.operation.name);
  cose::EncodeOne(w, c.operation.argument);
  return w.Take();
}

absl::StatusOr<Command> ParseCommand(ByteView payload) {
  cose::CborReader r(payload);
  Command c;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(6));
  KS_ASSIGN_OR_RETURN(c.target, r.ReadId<MemberId>());
  KS_ASSIGN_OR_RETURN(c.signer, r.ReadId<MemberId>());
  KS_ASSIGN_OR_RETURN(c.counter, r.ReadUint());
  KS_ASSIGN_OR_RETURN(c.boot, r.ReadId<BootId>());
  KS_ASSIGN_OR_RETURN(const int64_t until, r.ReadInt());
  if (until < 0) return absl::InvalidArgumentError("command is malformed: negative uptime");
  c.until_uptime = absl::Milliseconds(until);
  KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(const std::string_view name, r.ReadText());
  if (!IsOperationName(name)) return absl::InvalidArgumentError("command is malformed: operation name");
  c.operation.name = std::string(name);
  KS_ASSIGN_OR_RETURN(const bool no_argument, r.TryNull());
  if (!no_argument) {
    KS_ASSIGN_OR_RETURN(c.operation.argument, r.ReadInt());
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return c;
}

Bytes EncodeAnswer(const Answer& a) {
  return cose::EncodeArray(a.command_hash, static_cast<uint64_t>(a.result), a.counter, a.detail);
}

absl::StatusOr<Answer> ParseAnswer(ByteView payload) {
  cose::CborReader r(payload);
  Answer a;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(a.command_hash, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(const uint64_t result, r.ReadUint());
  if (result > static_cast<uint64_t>(CommandResult::kLeaseOver)) {
    return absl::InvalidArgumentError("answer is malformed: unknown result");
  }
  a.result = static_cast<CommandResult>(result);
  KS_ASSIGN_OR_RETURN(a.counter, r.ReadUint());
  KS_ASSIGN_OR_RETURN(const std::string_view detail, r.ReadText());
  if (detail.size() > 128) return absl::InvalidArgumentError("answer is malformed: detail too long");
  a.detail = std::string(detail);
  KS_RETURN_IF_ERROR(r.Finish());
  return a;
}

absl::Duration CommandDeadline(absl::Duration target_uptime, absl::Duration since_received,
                               absl::Duration time_to_live) {
  return target_uptime + since_received + time_to_live;
}

CommandResult JudgeCommand(const CommandGate& gate, const Command& command, const MemberId& sender,
                           uint64_t epoch, std::optional<uint64_t> mark) {
  if (command.target != gate.self || command.signer != sender) return CommandResult::kNotPermitted;
  if (gate.chain == nullptr || gate.chain->empty() || epoch != gate.chain->epoch())
    return CommandResult::kNotPermitted;
  const RosterEntry* signer = gate.chain->roster().Find(sender);
  if (signer == nullptr ||
      !gate.chain->roster().MayWrite(*signer, Topic::Of(TopicKind::kCommand, gate.self))) {
    return CommandResult::kNotPermitted;
  }
  if (gate.lease_over && sender != gate.chain->head().owner) return CommandResult::kLeaseOver;
  // Boot before mark and time: after a reboot the signer must learn that it should sign anew.
  if (command.boot != gate.boot) return CommandResult::kReboot;
  if (mark.has_value() && command.counter <= *mark) return CommandResult::kReplayed;
  if (gate.uptime > command.until_uptime) return CommandResult::kExpired;
  return CommandResult::kDone;
}

}  // namespace keystead
