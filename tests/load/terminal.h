// The run on a terminal: a view that is drawn anew where there is one, else lines.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "tests/load/run.h"

namespace keystead::load {

// Writes to standard output; `live` redraws and colours.
std::unique_ptr<Progress> MakeTerminal(bool live);

// The tables at the end.
void PrintReport(const nlohmann::json& report, bool colours);

}  // namespace keystead::load
