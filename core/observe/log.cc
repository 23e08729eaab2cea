#include "core/observe/log.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/base/mutants.h"
#include "spdlog/logger.h"
#include "spdlog/sinks/basic_file_sink.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace keystead {
namespace {

struct State {
  std::shared_ptr<spdlog::logger> logger;
  std::string program = "keystead";
  LogLevel level = LogLevel::kInfo;
};

absl::Mutex& StateMutex() {
  static absl::Mutex* const mutex = new absl::Mutex;
  return *mutex;
}

State& TheState() {
  static State* const state = [] {
    auto* s = new State;
    s->logger = std::make_shared<spdlog::logger>("log", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    s->logger->set_pattern("%v");
    s->logger->set_level(spdlog::level::trace);
    s->logger->flush_on(spdlog::level::trace);
    return s;
  }();
  return *state;
}

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

}  // namespace

absl::Status ConfigureLog(const LogOptions& options) {
  std::vector<spdlog::sink_ptr> sinks;
  if (options.standard_error) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (!options.file.empty()) {
    // spdlog reports a file it cannot open by an exception; nothing of ours lets one out.
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
    } catch (const spdlog::spdlog_ex& error) {
      return absl::FailedPreconditionError(absl::StrCat("the log file cannot be opened: ", error.what()));
    }
  }
  auto logger = std::make_shared<spdlog::logger>("log", sinks.begin(), sinks.end());
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  absl::MutexLock lock(&StateMutex());
  State& state = TheState();
  state.logger = std::move(logger);
  state.program = options.program;
  state.level = options.level;
  return absl::OkStatus();
}

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  std::shared_ptr<spdlog::logger> logger;
  nlohmann::ordered_json line;
  {
    absl::MutexLock lock(&StateMutex());
    State& state = TheState();
    if (level < state.level) return;
    logger = state.logger;
    line["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
    line["level"] = LevelName(level);
    line["program"] = state.program;
  }
  if (!ActiveMutantName().empty()) line["mutant"] = ActiveMutantName();
  line["event"] = event;
  for (const LogField& field : fields) {
    std::visit([&](const auto& value) { line[std::string(field.name)] = value; }, field.value);
  }
  logger->info(line.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace keystead
