// CSV as in RFC 4180, strict: what does not follow it is an error with file, line and reason, never a guess.
//
// Accepted beyond the RFC: LF alone as line end, a UTF-8 byte order mark, no line end after the last record.
// A quoted field may span lines. Errors: a quote inside an unquoted field, text after a closing quote, an
// unclosed quote, CR without LF, a NUL byte, a record with more or fewer fields than the header, limits.
// Functions are thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace keystead::device_sim {

inline constexpr size_t kMaxCsvFileBytes = size_t{64} << 20;
inline constexpr size_t kMaxCsvRecordBytes = size_t{1}
                                             << 16;  // one record, its line ends and quotes included
inline constexpr size_t kMaxCsvColumns = 256;
inline constexpr size_t kMaxCsvRows = size_t{4} << 20;  // without the header

// One column of numbers.
struct CsvColumn {
  std::string name;
  std::vector<double> values;  // NaN where the cell is empty; never infinite
};

// Reads record after record. The text must outlive the reader. Not thread-safe.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string_view source);

  // True and the next record's fields, or false at the end. INVALID_ARGUMENT "source:line: reason"; do not go
  // on after an error.
  absl::StatusOr<bool> Next(std::vector<std::string>& fields);

  size_t line() const { return record_line_; }  // where the last record began, from 1
  absl::Status Error(size_t line, std::string_view reason) const;

 private:
  absl::Status ReadField(std::string& field);
  absl::Status ReadQuoted(std::string& field);
  absl::StatusOr<bool> ReadSeparator();  // true: another field follows in this record

  std::string_view text_;
  std::string source_;
  size_t at_ = 0;
  size_t record_at_ = 0;
  size_t line_ = 1;
  size_t record_line_ = 0;
};

// The column called `name`, blanks around header and numbers ignored. INVALID_ARGUMENT: as above, a cell that
// is neither empty nor a finite decimal number, no such column (the message lists those there are) or more
// than one, no rows. `source` stands in the messages.
absl::StatusOr<CsvColumn> ParseCsvColumn(std::string_view text, std::string_view source,
                                         std::string_view name);

// The same from a file. RESOURCE_EXHAUSTED beyond kMaxCsvFileBytes.
absl::StatusOr<CsvColumn> ReadCsvColumn(const std::string& path, std::string_view name);

}  // namespace keystead::device_sim
