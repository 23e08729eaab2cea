// Structured logs: one JSON object a line on standard error (and into a file where asked), flushed line by
// line. Thread-safe. Field values are text, numbers or truth values; no secret, no plaintext reading and no
// setup code may become one. Lines are pure ASCII: values from a peer are escaped by the JSON encoder, so
// nobody writes a line of their own, moves the cursor of a terminal or turns the direction of its text.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "absl/status/status.h"

namespace keystead {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view name;
  std::variant<std::string, int64_t, uint64_t, double, bool> value;

  LogField(std::string_view n, std::string_view v) : name(n), value(std::string(v)) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string(v)) {}
  LogField(std::string_view n, const std::string& v) : name(n), value(v) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, double v) : name(n), value(v) {}
  template <class Int>
  requires std::is_integral_v<Int> LogField(std::string_view n, Int v) : name(n) {
    if constexpr (std::is_signed_v<Int>) {
      value = static_cast<int64_t>(v);
    } else {
      value = static_cast<uint64_t>(v);
    }
  }
};

struct LogOptions {
  std::string program;               // in every line as "program"
  LogLevel level = LogLevel::kInfo;  // lines below it are dropped
  std::string file;                  // empty: standard error only
  bool standard_error = true;
};

// Call once at start-up; before it, lines go to standard error at level kInfo. FAILED_PRECONDITION, and
// nothing changed, when the file cannot be opened for appending.
absl::Status ConfigureLog(const LogOptions& options);

// Writes {"time":…,"level":…,"program":…,"event":event,fields…}. `event` is a constant in snake_case that
// operators can search for: an event name, not a sentence.
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace keystead
