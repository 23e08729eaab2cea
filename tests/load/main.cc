// keystead-load: what a tenant of a shared backend feels when another one misbehaves.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/base/status.h"
#include "core/program/files.h"
#include "core/program/program.h"
#include "tests/load/options.h"
#include "tests/load/page.h"
#include "tests/load/terminal.h"

namespace keystead::load {
namespace {

constexpr int kInvalid = 3;

// What the server says is wrong is not a mistyped option.
absl::Status NotMistyped(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ? absl::FailedPreconditionError(status.message()) : status;
}

absl::Status Work(CommandLine& line, Program& program) {
  KS_RETURN_IF_ERROR(Settle(line));
  const bool live = isatty(STDOUT_FILENO) == 1;
  nlohmann::json report;
  {
    const std::unique_ptr<Progress> progress = MakeTerminal(live);
    absl::StatusOr<nlohmann::json> done = Run(line.run, *progress, program.termination());
    if (!done.ok()) return NotMistyped(done.status());
    report = *std::move(done);
  }
  PrintReport(report, live);
  if (!line.json_file.empty()) KS_RETURN_IF_ERROR(WriteFileAtomically(line.json_file, report.dump(1) + "\n"));
  if (!line.html_file.empty()) KS_RETURN_IF_ERROR(WriteFileAtomically(line.html_file, RenderPage(report)));
  if (!report["valid"].get<bool>()) program.SucceedWith(kInvalid);
  return absl::OkStatus();
}

}  // namespace
}  // namespace keystead::load

int main(int argc, char** argv) {
  keystead::Program program(
      "keystead-load",
      "Loads a multi-tenant backend, lets tenants misbehave, and measures what the others "
      "felt. Exit codes: 0 done, 1 it failed, 2 the options are wrong, 3 the run is invalid.",
      "KEYSTEAD_LOAD");
  program.InvalidArgumentIsMistyped();
  keystead::load::CommandLine line;
  keystead::load::AddOptions(program.app(), line);
  return program.Run(argc, argv, [&] { return keystead::load::Work(line, program); });
}
