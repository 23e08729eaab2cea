#include "device-sim/signals/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

namespace keystead::device_sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<double> Column(std::string_view text, std::string_view name = "a") {
  const auto column = ParseCsvColumn(text, "f.csv", name);
  EXPECT_TRUE(column.ok()) << column.status();
  return column.ok() ? column->values : std::vector<double>{};
}
std::string Why(std::string_view text, std::string_view name = "a") {
  const absl::Status status = ParseCsvColumn(text, "f.csv", name).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(CsvTest, ReadsColumnByName) {
  EXPECT_THAT(Column("a,b\n1,2\n-3.5,4e2\n"), ElementsAre(1, -3.5));
  EXPECT_THAT(Column("a,b\n1,2\n-3.5,4e2\n", "b"), ElementsAre(2, 400));
}

TEST(CsvTest, ToleratesCrLfMarkBlanksAndMissingLastLineEnd) {
  EXPECT_THAT(Column("\xEF\xBB\xBF"
                     "a , b\r\n 1\t,2\r\n3,4"),
              ElementsAre(1, 3));
}

TEST(CsvTest, ReadsQuotedFields) {
  EXPECT_THAT(Column("\"x, \"\"y\"\"\",\"a\"\n\"two\nlines\",\"7\"\n,8\n"), ElementsAre(7, 8));
  EXPECT_THAT(Column("\"x, \"\"y\"\"\",z\n5,6\n", "x, \"y\""), ElementsAre(5));
}

TEST(CsvTest, EmptyCellHasNoValue) {
  const auto values = Column("a,b\n1,\n,2\n\"\",3\n");
  ASSERT_EQ(values.size(), 3U);
  EXPECT_EQ(values[0], 1);
  EXPECT_TRUE(std::isnan(values[1]) && std::isnan(values[2]));
}

TEST(CsvTest, CellThatIsNoNumberIsNamedWithFileAndLine) {
  EXPECT_THAT(Why("a,b\n1,2\nmany,4\n"), HasSubstr("f.csv:3: 'many' in column 'a' is not a finite number"));
  for (const std::string cell :
       {"nan", "inf", "-inf", "1e999", "0x10", "1,5\"", "1 2", "+1", "1_000", "--1", "."}) {
    EXPECT_FALSE(ParseCsvColumn("a\n" + cell + "\n", "f", "a").ok()) << cell;
  }
  // The line counts also across fields that span lines.
  EXPECT_THAT(Why("b,a\n\"x\ny\",1\nz,bad\n"), HasSubstr("f.csv:4:"));
}

TEST(CsvTest, MissingColumnListsThoseThereAre) {
  EXPECT_THAT(Why("date, wind ,\"t,max\"\n1,2,3\n", "temp"),
              HasSubstr("f.csv:1: no column 'temp'; there are 'date', 'wind', 't,max'"));
  EXPECT_THAT(Why("a,b,a\n1,2,3\n"), HasSubstr("more than one column is called 'a'"));
}

TEST(CsvTest, MalformedTextIsRefusedWithItsLine) {
  EXPECT_THAT(Why(""), HasSubstr("f.csv:1: the file is empty"));
  EXPECT_THAT(Why("a\n"), HasSubstr("no rows"));
  EXPECT_THAT(Why("a,b\n1,2\n3\n"), HasSubstr("f.csv:3: 1 fields where the header has 2"));
  EXPECT_THAT(Why("a,b\n1,2,3\n"), HasSubstr("f.csv:2: 3 fields where the header has 2"));
  EXPECT_THAT(Why("a,b\n1,2\n\n"), HasSubstr("f.csv:3:"));
  EXPECT_THAT(Why("a,b\n1,x\"y\n"), HasSubstr("f.csv:2: a quote inside"));
  EXPECT_THAT(Why("a,b\n1,\"x\"y\n"), HasSubstr("f.csv:2: text after the closing quote"));
  EXPECT_THAT(Why("a,b\n1,\"x\n\n\n"), HasSubstr("f.csv:2: a quote that is never closed"));
  EXPECT_THAT(Why("a,b\r1,2\r"), HasSubstr("f.csv:1: a carriage return"));
  EXPECT_THAT(Why(std::string_view("a,b\n1,\0\n", 8)), HasSubstr("f.csv:2: a NUL byte"));
  EXPECT_THAT(Why(std::string_view("a,b\n1,\"\0\"\n", 10)), HasSubstr("f.csv:2: a NUL byte"));
}

TEST(CsvTest, LimitsHold) {
  std::string header = "a";
  std::string row = "1";
  for (size_t i = 1; i < kMaxCsvColumns; ++i) {
    header += ",b";
    row += ",2";
  }
  EXPECT_THAT(Column(header + "\n" + row + "\n"), ElementsAre(1));
  EXPECT_THAT(Why(header + ",c\n" + row + ",3\n"), HasSubstr("more than 256 columns"));

  const std::string wide(kMaxCsvRecordBytes - 2, 'x');  // with the value and its comma exactly at the limit
  EXPECT_FALSE(ParseCsvColumn("a,b\n1," + wide + "\n", "f", "a").ok());
  EXPECT_THAT(Column("a,b\n1," + wide.substr(1) + "\n"), ElementsAre(1));
  EXPECT_THAT(Why("a,b\n1," + wide + "x\n"), HasSubstr("f.csv:2: a record longer than"));
  EXPECT_THAT(Why("a,b\n1,\"" + wide + "x\"\n"), HasSubstr("is the quote of line 2 closed"));

  std::string rows = "a\n";
  rows.reserve(2 * kMaxCsvRows + 8);
  for (size_t i = 0; i < kMaxCsvRows; ++i) rows += "1\n";
  EXPECT_EQ(Column(rows).size(), kMaxCsvRows);
  EXPECT_THAT(Why(rows + "1\n"), HasSubstr("more than 4194304 rows"));
}

TEST(CsvTest, HostileTextInMessagesIsEscapedAndCut) {
  const std::string why = Why("a\n\x1b[2J" + std::string(500, 'x') + "\n");
  EXPECT_EQ(why.find('\x1b'), std::string::npos);
  EXPECT_LT(why.size(), 200U);
}

TEST(CsvTest, FileThatCannotBeReadIsAnError) {
  EXPECT_EQ(ReadCsvColumn("/does/not/exist.csv", "a").status().code(), absl::StatusCode::kNotFound);
  for (const std::string& path : {::testing::TempDir(), std::string("/dev/zero")}) {
    EXPECT_THAT(std::string(ReadCsvColumn(path, "a").status().message()), HasSubstr("not a regular file"));
  }
  const std::string large = ::testing::TempDir() + "/keystead-large.csv";
  fclose(fopen(large.c_str(), "w"));
  std::filesystem::resize_file(large, kMaxCsvFileBytes + 1);  // sparse
  EXPECT_EQ(ReadCsvColumn(large, "a").status().code(), absl::StatusCode::kResourceExhausted);
  std::filesystem::remove(large);
}

TEST(CsvTest, ReadsRealTraces) {
  const char* folder = std::getenv("KEYSTEAD_DATA_DIR");
  if (folder == nullptr) {
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") FAIL() << "KEYSTEAD_DATA_DIR is unset under CI=true";
    GTEST_SKIP() << "KEYSTEAD_DATA_DIR is unset: no real traces to read";
  }
  const auto daily = ReadCsvColumn(std::string(folder) + "/seattle-weather.csv", "temp_max");
  ASSERT_TRUE(daily.ok()) << daily.status();
  EXPECT_EQ(daily->values.size(), 1461U);
  EXPECT_EQ(daily->values.front(), 12.8);
  const auto hourly = ReadCsvColumn(std::string(folder) + "/seattle-weather-hourly-normals.csv", "pressure");
  ASSERT_TRUE(hourly.ok()) << hourly.status();
  EXPECT_EQ(hourly->values.size(), 8759U);
  EXPECT_EQ(hourly->values.front(), 1016.6);
  EXPECT_THAT(
      std::string(ReadCsvColumn(std::string(folder) + "/seattle-weather.csv", "weather").status().message()),
      HasSubstr("seattle-weather.csv:2: 'drizzle'"));
}

}  // namespace
}  // namespace keystead::device_sim
