#include "core/observe/log.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace keystead {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "keystead-log-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    file_ = folder_ / "log";
    Configure(LogLevel::kInfo);
  }
  void TearDown() override {
    ASSERT_TRUE(ConfigureLog({.program = "observe_test"}).ok());  // lets go of the file
    std::filesystem::remove_all(folder_);
  }

  void Configure(LogLevel level) {
    const absl::Status status =
        ConfigureLog({.program = "tested", .level = level, .file = file_.string(), .standard_error = false});
    ASSERT_TRUE(status.ok()) << status;
  }

  std::vector<std::string> RawLines() const {
    std::ifstream in(file_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

  std::vector<nlohmann::json> Lines() const {
    std::vector<nlohmann::json> lines;
    for (const std::string& raw : RawLines()) lines.push_back(nlohmann::json::parse(raw, nullptr, false));
    return lines;
  }

  std::filesystem::path folder_;
  std::filesystem::path file_;
};

TEST_F(LogTest, WritesOneObjectALineWithTheFixedFieldsFirst) {
  Log(LogLevel::kInfo, "started", {{"port", 4433}, {"tls", true}, {"ratio", 0.5}, {"peer", "a"}});
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  const auto& line = lines[0];
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["program"], "tested");
  EXPECT_EQ(line["event"], "started");
  EXPECT_EQ(line["port"], 4433);
  EXPECT_EQ(line["tls"], true);
  EXPECT_EQ(line["ratio"], 0.5);
  EXPECT_EQ(line["peer"], "a");
  EXPECT_EQ(RawLines()[0].rfind("{\"time\":\"", 0), 0u);
  const std::string time = line["time"];
  EXPECT_EQ(time.size(), 27u) << time;
  EXPECT_EQ(time.back(), 'Z');
  EXPECT_EQ(line.size(), 8u);
}

TEST_F(LogTest, DropsLinesBelowItsLevel) {
  const LogLevel all[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError};
  size_t expected = 0;
  for (LogLevel threshold : all) {
    Configure(threshold);
    for (LogLevel level : all) {
      Log(level, "line");
      expected += level >= threshold ? 1 : 0;
    }
    EXPECT_EQ(Lines().size(), expected);
  }
  EXPECT_EQ(expected, 10u);
}

TEST_F(LogTest, APeerCannotWriteALineOfItsOwn) {
  const std::string evil = "x\"}\n{\"level\":\"info\",\"event\":\"all_is_well\"}\r\n\x1b[2J\t\x7f\\";
  Log(LogLevel::kWarning, "refused", {{"peer", evil}});
  const auto raw = RawLines();
  ASSERT_EQ(raw.size(), 1u);
  for (char c : raw[0]) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
  EXPECT_EQ(Lines()[0]["peer"], evil);
  EXPECT_EQ(Lines()[0]["event"], "refused");
}

TEST_F(LogTest, UnicodeLineBreaksAndDirectionMarksAreEscaped) {
  const std::string evil = "a\u0085b\u2028c\u2029d\u202ee\u009b";
  Log(LogLevel::kInfo, "seen", {{"label", evil}});
  const auto raw = RawLines();
  ASSERT_EQ(raw.size(), 1u);
  for (char c : raw[0]) ASSERT_TRUE(c >= 0x20 && c < 0x7f);
  EXPECT_EQ(Lines()[0]["label"], evil);
}

TEST_F(LogTest, BrokenUtf8AndZerosStillGiveOneValidLine) {
  Log(LogLevel::kInfo, "seen", {{"a", std::string("\xff\xfe\xc3", 3)}, {"b", std::string("x\0y", 3)}});
  ASSERT_EQ(Lines().size(), 1u);
  ASSERT_FALSE(Lines()[0].is_discarded());
  EXPECT_EQ(Lines()[0]["b"], std::string("x\0y", 3));
}

TEST_F(LogTest, FormatDirectivesAreText) {
  const std::string text = "{} {0} {:d} %s %n %v";
  Log(LogLevel::kInfo, "seen", {{"text", text}});
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_EQ(Lines()[0]["text"], text);
}

TEST_F(LogTest, NumbersKeepTheirValueToTheirLimits) {
  Log(LogLevel::kInfo, "numbers",
      {{"u64", std::numeric_limits<uint64_t>::max()},
       {"i64", std::numeric_limits<int64_t>::min()},
       {"size", size_t{1} << 40},
       {"small", static_cast<uint8_t>(200)},
       {"nan", std::nan("")}});
  ASSERT_EQ(Lines().size(), 1u);
  const auto line = Lines()[0];
  EXPECT_EQ(line["u64"].get<uint64_t>(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(line["i64"].get<int64_t>(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(line["size"].get<uint64_t>(), uint64_t{1} << 40);
  EXPECT_EQ(line["small"], 200);
  EXPECT_TRUE(line["nan"].is_null());
}

TEST_F(LogTest, ThreadsDoNotTearLines) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i)
        Log(LogLevel::kInfo, "line", {{"thread", t}, {"pad", std::string(300, 'x')}});
    });
  }
  for (auto& thread : threads) thread.join();
  std::vector<int> seen(8);
  for (const auto& line : Lines()) {
    ASSERT_FALSE(line.is_discarded());
    ++seen[line["thread"].get<size_t>()];
  }
  EXPECT_EQ(seen, std::vector<int>(8, 200));
}

TEST_F(LogTest, AppendsToWhatAnEarlierStartWrote) {
  Log(LogLevel::kInfo, "first");
  Configure(LogLevel::kInfo);
  Log(LogLevel::kInfo, "second");
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_EQ(Lines()[0]["event"], "first");
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsAStatusAndChangesNothing) {
  const absl::Status status =
      ConfigureLog({.program = "other", .file = folder_.string()});  // a folder is no file
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  Log(LogLevel::kInfo, "still_here");
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_EQ(Lines()[0]["program"], "tested");
}

TEST_F(LogTest, StandardErrorIsWrittenToWhenAsked) {
  ASSERT_TRUE(ConfigureLog({.program = "tested"}).ok());
  ::testing::internal::CaptureStderr();
  Log(LogLevel::kError, "shown");
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(nlohmann::json::parse(text, nullptr, false)["event"], "shown") << text;
  EXPECT_TRUE(Lines().empty());
}

}  // namespace
}  // namespace keystead
