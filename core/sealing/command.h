// Commands and their answers. A target acts only on a command that is for it, lately made for its present
// boot, new, and signed by somebody whose right to command it stands in its current epoch; it stores the mark
// before it acts. docs/protocol.md, "Commands".
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/membership/chain.h"

namespace keystead {

struct Operation {
  std::string name;  // "on", "off", "brightness": 1 to 32 characters of [a-z0-9-]
  std::optional<int64_t> argument;
  bool operator==(const Operation&) const = default;
};

struct Command {
  MemberId target;
  MemberId signer;
  uint64_t counter = 0;         // rises with every command of a signer
  BootId boot;                  // of the target, as its last checkpoint said
  absl::Duration until_uptime;  // of the target: later it must not act
  Operation operation;
};

enum class CommandResult : uint8_t {
  kDone = 0,
  kReboot = 1,  // made for an earlier boot: sign anew
  kExpired = 2,
  kReplayed = 3,  // not above the mark
  kNotPermitted = 4,
  kUnsupported = 5,  // no such operation or argument here
  kLeaseOver = 6,    // the target has not heard the owner for so long that it obeys nobody else
};
std::string_view CommandResultName(CommandResult result);

struct Answer {
  Digest command_hash;  // SHA-256 of the signed command as received
  CommandResult result = CommandResult::kDone;
  uint64_t counter = 0;
  std::string detail;  // at most 128 characters
};

Bytes EncodeCommand(const Command& command);
absl::StatusOr<Command> ParseCommand(ByteView payload);  // INVALID_ARGUMENT
Bytes EncodeAnswer(const Answer& answer);
absl::StatusOr<Answer> ParseAnswer(ByteView payload);

// until_uptime = uptime in the target's last checkpoint + time since it was received + time to live, so that
// delay only shortens it.
absl::Duration CommandDeadline(absl::Duration target_uptime, absl::Duration since_received,
                               absl::Duration time_to_live);

// What a target knows when a command arrives. `mark` is its durable high-water mark for the signer.
struct CommandGate {
  MemberId self;
  BootId boot;
  absl::Duration uptime;
  const MembershipChain* chain = nullptr;
  bool lease_over = false;  // Lease::Over: only the owner who commits is obeyed
};

// Whether `command`, whose signature by `sender` was verified under `epoch`, may be acted on now. kDone
// means: store the mark (command.counter), then act.
CommandResult JudgeCommand(const CommandGate& gate, const Command& command, const MemberId& sender,
                           uint64_t epoch, std::optional<uint64_t> mark);

}  // namespace keystead
