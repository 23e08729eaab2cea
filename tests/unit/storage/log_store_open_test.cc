#include <fstream>

#include "tests/unit/storage/storage_test_support.h"

namespace keystead::storage {
namespace {

namespace fs = std::filesystem;

class LogStoreOpenTest : public StoreTest {
 protected:
  // The code, after checking that the text is one line that names the path.
  absl::StatusCode Refusal() {
    const absl::Status status = LogStore::Open(options_).status();
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << status;
    EXPECT_NE(status.message().find(options_.path), absl::string_view::npos) << status;
    return status.code();
  }
};

TEST_F(LogStoreOpenTest, MissingIsNotCreatedUnlessAsked) {
  options_.create_if_missing = false;
  EXPECT_EQ(Refusal(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(options_.path));
}

TEST_F(LogStoreOpenTest, OneProcessAtATime) {
  Open();
  EXPECT_EQ(Refusal(), absl::StatusCode::kUnavailable);
}

TEST_F(LogStoreOpenTest, OtherFormatsAreRefusedAndLeftAsTheyAre) {
  Open();
  store_.reset();
  options_.format_version = 2;
  EXPECT_EQ(Refusal(), absl::StatusCode::kFailedPrecondition);
  options_.format_version = 1;
  options_.format_name = "other";
  EXPECT_EQ(Refusal(), absl::StatusCode::kFailedPrecondition);
  options_.format_name = "test";
  Open();
}

TEST_F(LogStoreOpenTest, AForeignDirectoryIsRefused) {
  fs::create_directories(options_.path);
  std::ofstream(options_.path + "/letter.txt") << "dear";
  EXPECT_EQ(Refusal(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::distance(fs::directory_iterator(options_.path), fs::directory_iterator()), 1);
}

TEST_F(LogStoreOpenTest, AFileInItsPlaceIsRefused) {
  std::ofstream(options_.path) << "file";
  EXPECT_EQ(Refusal(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LogStoreOpenTest, ALogFileHasItsLengthBeforeItIsWritten) {
  options_.write_buffer_bytes = 1 << 20;
  Open();
  const auto length = [&] {
    uint64_t bytes = 0;
    for (const auto& file : fs::directory_iterator(options_.path)) {
      if (file.path().extension() == ".log") bytes += file.file_size();
    }
    return bytes;
  };
  ASSERT_TRUE(Append({1, 1}, {"a"}).ok());
  const uint64_t before = length();
  EXPECT_GT(before, options_.write_buffer_bytes / 4);
  ASSERT_TRUE(Append({1, 1}, {std::string(10'000, 'b')}).ok());
  EXPECT_EQ(length(), before) << "a sync has to make a new length durable";
}

// What a killed process leaves: log files as long as what was reserved, and zeros behind what was written.
TEST_F(LogStoreOpenTest, ZerosBehindWhatWasWrittenAreItsEnd) {
  options_.write_buffer_bytes = 2 << 20;
  Open();
  std::vector<std::string> written;
  for (int i = 0; i < 40; ++i) {
    written.push_back(std::string(static_cast<size_t>(i) * 997, 'x'));  // ends at many places of a block
    ASSERT_TRUE(Append({1, 1}, {written.back()}).ok());
    fs::remove_all(directory_ + "/killed");
    fs::copy(options_.path, directory_ + "/killed", fs::copy_options::recursive);
    Options killed = options_;
    killed.path = directory_ + "/killed";
    for (int opened = 0; opened < 2; ++opened) {
      auto store = LogStore::Open(killed);
      ASSERT_TRUE(store.ok()) << store.status();
      ASSERT_EQ(Texts((*store)->Read({1, 1}, 0, 64 << 20)), written);
      ASSERT_EQ(*(*store)->GetBounds({1, 1}), (Bounds{0, written.size()}));
    }
  }
}

TEST_F(LogStoreOpenTest, DamageIsTold) {
  Open();
  ASSERT_TRUE(Append({1, 1}, {"a"}).ok());
  Open();  // writes a table
  store_.reset();
  const std::string current = options_.path + "/CURRENT";
  fs::rename(current, options_.path + "/../kept");
  EXPECT_EQ(Refusal(), absl::StatusCode::kDataLoss);
  fs::rename(options_.path + "/../kept", current);
  for (const auto& file : fs::directory_iterator(options_.path)) {
    if (file.path().extension() == ".sst") fs::remove(file.path());
  }
  EXPECT_EQ(Refusal(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace keystead::storage
