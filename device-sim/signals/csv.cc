#include "device-sim/signals/csv.h"

#include <errno.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"

namespace keystead::device_sim {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view Trim(std::string_view s) {
  constexpr std::string_view kBlanks = " \t";
  const size_t begin = s.find_first_not_of(kBlanks);
  return begin == std::string_view::npos ? std::string_view()
                                         : s.substr(begin, s.find_last_not_of(kBlanks) - begin + 1);
}

// What stands in a file may be anything and long; a message must stay one short line.
std::string Shown(std::string_view s) {
  constexpr size_t kShownBytes = 40;
  return absl::StrCat("'", absl::CHexEscape(Absl(s.substr(0, kShownBytes))),
                      s.size() > kShownBytes ? "...'" : "'");
}

absl::StatusOr<size_t> FindColumn(const CsvReader& reader, const std::vector<std::string>& header,
                                  std::string_view name) {
  size_t found = header.size();
  std::string known;
  for (size_t i = 0; i < header.size(); ++i) {
    const std::string_view column = Trim(header[i]);
    absl::StrAppend(&known, i == 0 ? "" : ", ", Shown(column));
    if (column != name) continue;
    if (found != header.size()) {
      return reader.Error(reader.line(), absl::StrCat("more than one column is called ", Shown(name)));
    }
    found = i;
  }
  if (found == header.size()) {
    return reader.Error(reader.line(), absl::StrCat("no column ", Shown(name), "; there are ", known));
  }
  return found;
}

absl::StatusOr<double> ParseCell(const CsvReader& reader, std::string_view cell, std::string_view column) {
  const std::string_view digits = Trim(cell);
  if (digits.empty()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value)) {
    return reader.Error(reader.line(),
                        absl::StrCat(Shown(cell), " in column ", Shown(column), " is not a finite number"));
  }
  return value;
}

}  // namespace

CsvReader::CsvReader(std::string_view text, std::string_view source) : text_(text), source_(source) {
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
}

absl::Status CsvReader::Error(size_t line, std::string_view reason) const {
  return absl::InvalidArgumentError(absl::StrCat(source_, ":", line, ": ", Absl(reason)));
}

absl::StatusOr<bool> CsvReader::Next(std::vector<std::string>& fields) {
  fields.clear();
  if (at_ == text_.size()) return false;
  record_at_ = at_;
  record_line_ = line_;
  for (bool more = true; more;) {
    if (fields.size() == kMaxCsvColumns) {
      return Error(record_line_, absl::StrCat("more than ", kMaxCsvColumns, " columns"));
    }
    KS_RETURN_IF_ERROR(ReadField(fields.emplace_back()));
    KS_ASSIGN_OR_RETURN(more, ReadSeparator());
  }
  return true;
}

absl::Status CsvReader::ReadField(std::string& field) {
  if (at_ < text_.size() && text_[at_] == '"') return ReadQuoted(field);
  const size_t begin = at_;
  for (; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == ',' || c == '\n' || c == '\r') break;
    if (c == '"') return Error(line_, "a quote inside an unquoted field");
    if (c == '\0') return Error(line_, "a NUL byte; this is no text");
    if (at_ - record_at_ >= kMaxCsvRecordBytes) break;
  }
  if (at_ - record_at_ >= kMaxCsvRecordBytes) {
    return Error(record_line_, absl::StrCat("a record longer than ", kMaxCsvRecordBytes, " bytes"));
  }
  field.assign(text_.substr(begin, at_ - begin));
  return absl::OkStatus();
}

absl::Status CsvReader::ReadQuoted(std::string& field) {
  const size_t opened_line = line_;
  for (++at_; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (at_ - record_at_ >= kMaxCsvRecordBytes) {
      return Error(record_line_, absl::StrCat("a record longer than ", kMaxCsvRecordBytes,
                                              " bytes; is the quote of line ", opened_line, " closed?"));
    }
    if (c == '\0') return Error(line_, "a NUL byte; this is no text");
    if (c == '\n') ++line_;
    if (c == '"') {
      if (at_ + 1 == text_.size() || text_[at_ + 1] != '"') {
        ++at_;
        return absl::OkStatus();
      }
      ++at_;  // a doubled quote stands for one
    }
    field.push_back(c);
  }
  return Error(opened_line, "a quote that is never closed");
}

absl::StatusOr<bool> CsvReader::ReadSeparator() {
  if (at_ == text_.size()) return false;
  switch (text_[at_++]) {
    case ',':
      return true;
    case '\r':
      if (at_ == text_.size() || text_[at_] != '\n')
        return Error(line_, "a carriage return without a line feed");
      ++at_;
      break;
    case '\n':
      break;
    default:
      return Error(line_, "text after the closing quote of a field");
  }
  ++line_;
  return false;
}

absl::StatusOr<CsvColumn> ParseCsvColumn(std::string_view text, std::string_view source,
                                         std::string_view name) {
  CsvReader reader(text, source);
  std::vector<std::string> fields;
  KS_ASSIGN_OR_RETURN(const bool has_header, reader.Next(fields));
  if (!has_header) return reader.Error(1, "the file is empty; a header was expected");
  KS_ASSIGN_OR_RETURN(const size_t index, FindColumn(reader, fields, name));
  const size_t columns = fields.size();
  CsvColumn column{std::string(name), {}};
  while (true) {
    KS_ASSIGN_OR_RETURN(const bool more, reader.Next(fields));
    if (!more) break;
    if (fields.size() != columns) {
      return reader.Error(reader.line(),
                          absl::StrCat(fields.size(), " fields where the header has ", columns));
    }
    if (column.values.size() == kMaxCsvRows) {
      return reader.Error(reader.line(), absl::StrCat("more than ", kMaxCsvRows, " rows"));
    }
    KS_ASSIGN_OR_RETURN(const double value, ParseCell(reader, fields[index], name));
    column.values.push_back(value);
  }
  if (column.values.empty()) return reader.Error(reader.line(), "no rows below the header");
  return column;
}

absl::StatusOr<CsvColumn> ReadCsvColumn(const std::string& path, std::string_view name) {
  // Asked before it is opened: opening a FIFO would wait for a writer.
  std::error_code error;
  const std::filesystem::file_status kind = std::filesystem::status(path, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat(path, ": cannot open it"));
  if (!std::filesystem::is_regular_file(kind)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const auto size = std::filesystem::file_size(path, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat(path, ": cannot look at it"));
  if (size > kMaxCsvFileBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": larger than ", kMaxCsvFileBytes, " bytes"));
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::ErrnoToStatus(errno != 0 ? errno : EIO, absl::StrCat(path, ": cannot open it"));
  std::string text(size, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (static_cast<size_t>(in.gcount()) != text.size()) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read to its end"));
  }
  return ParseCsvColumn(text, path, name);
}

}  // namespace keystead::device_sim
