// The command line of keystead-load.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/load/run.h"

namespace CLI {
class App;
}

namespace keystead::load {

struct CommandLine {
  RunOptions run;
  std::vector<std::string> behaviours;
  std::string arrivals = "poisson";
  std::vector<int> sweep;
  bool quick = false;
  std::string json_file;
  std::string html_file;
};

void AddOptions(CLI::App& app, CommandLine& line);
// What the options mean together. INVALID_ARGUMENT says in one line what does not fit.
absl::Status Settle(CommandLine& line);

}  // namespace keystead::load
