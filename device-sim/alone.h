// A device without a home: no owner's app, no gateway, no provider, and no socket of any kind. It measures,
// obeys its own buttons, shows on its own display, and keeps a diary.
#pragma once

#include "absl/status/status.h"
#include "core/program/program.h"
#include "device-sim/options.h"

namespace keystead::device_sim {

// Until SIGTERM, or for options.duration_seconds. Standard input are its buttons where options.buttons, one
// operation a line; standard output is its display where options.display, one JSON object a line.
// FAILED_PRECONDITION: the device belongs to a home; UNAVAILABLE: its state is in use; as Diary::Open.
absl::Status RunAlone(const Options& options, Program& program);

}  // namespace keystead::device_sim
