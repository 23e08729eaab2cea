// The program in its serving form.
#pragma once

#include "absl/status/status.h"
#include "core/program/program.h"
#include "infra-sim/options.h"

namespace keystead::infra {

// Starts every listener, announces the ports ("control" is that of InfraControl), and serves until SIGTERM;
// then ends calls within two seconds. An error says in one line what to do about it, and nothing keeps
// running.
absl::Status Run(const RunArguments& arguments, Program& program);

}  // namespace keystead::infra
