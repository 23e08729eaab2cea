// What was read can be written and read again; a column holds finite numbers or nothing; a message names its
// source and carries no control character of the file.
#include <algorithm>
#include <cmath>

#include "core/base/bytes.h"
#include "device-sim/signals/csv.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using keystead::AsChars;
using keystead::ByteView;
using keystead::Std;
using keystead::device_sim::CsvReader;
using Records = std::vector<std::vector<std::string>>;

// False where the text is refused.
bool ReadAll(std::string_view text, Records& out) {
  CsvReader reader(text, "f");
  std::vector<std::string> fields;
  while (true) {
    const auto more = reader.Next(fields);
    if (!more.ok()) return false;
    if (!*more) return true;
    FUZZ_CHECK(!fields.empty() && fields.size() <= keystead::device_sim::kMaxCsvColumns);
    out.push_back(fields);
  }
}

std::string WriteAll(const Records& records) {
  std::string text;
  for (const auto& fields : records) {
    for (size_t i = 0; i < fields.size(); ++i) {
      text += i == 0 ? "\"" : ",\"";
      for (const char c : fields[i]) text += c == '"' ? std::string("\"\"") : std::string(1, c);
      text += "\"";
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16384) return 0;  // quoting everything then stays below the limit of a record
  const std::string_view text = AsChars(ByteView(data, size));
  Records records;
  if (ReadAll(text, records)) {
    Records again;
    FUZZ_CHECK(ReadAll(WriteAll(records), again));
    FUZZ_CHECK(again == records);
  }
  const auto column = keystead::device_sim::ParseCsvColumn(text, "f", "a");
  if (column.ok()) {
    FUZZ_CHECK(!column->values.empty());
    FUZZ_CHECK(
        std::none_of(column->values.begin(), column->values.end(), [](double v) { return std::isinf(v); }));
  } else {
    const std::string_view message = Std(column.status().message());
    FUZZ_CHECK(message.starts_with("f:"));
    FUZZ_CHECK(std::none_of(message.begin(), message.end(), [](char c) { return c < ' ' || c == 0x7f; }));
  }
  return 0;
}
