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
