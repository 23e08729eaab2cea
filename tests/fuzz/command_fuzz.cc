// Commands and answers have one encoding; what a target reads of a command names an operation it can print.
#include "core/sealing/command.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  if (const auto command = ParseCommand(input); command.ok()) {
    FUZZ_CHECK(Equal(EncodeCommand(*command), input));
    FUZZ_CHECK(!command->operation.name.empty() && command->operation.name.size() <= 32);
    FUZZ_CHECK(command->until_uptime >= absl::ZeroDuration());
    const CommandGate gate;
    FUZZ_CHECK(JudgeCommand(gate, *command, command->signer, 0, std::nullopt) ==
               CommandResult::kNotPermitted);
  }
  if (const auto answer = ParseAnswer(input); answer.ok()) {
    FUZZ_CHECK(Equal(EncodeAnswer(*answer), input));
    FUZZ_CHECK(answer->detail.size() <= 128);
  }
  return 0;
}
