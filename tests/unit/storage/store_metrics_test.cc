#include "core/storage/store_metrics.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "core/storage/fault_injection_fs.h"
#include "tests/unit/storage/storage_test_support.h"

namespace keystead::storage {
namespace {

using ::testing::HasSubstr;

class StoreMetricsTest : public StoreTest {
 protected:
  StoreMetricsTest() {
    options_.file_system = faults_;
    SetMetricsWanted(true);
  }
  ~StoreMetricsTest() override { SetMetricsWanted(false); }
  static double Value(std::string_view series) {
    const std::string line = absl::StrCat("\n", std::string(series), " ");
    const std::string text = RenderMetrics();
    const size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << series << " in " << text;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + line.size()));
  }
  const std::shared_ptr<FaultInjectionFs> faults_ = std::make_shared<FaultInjectionFs>();
};

TEST_F(StoreMetricsTest, CountsWhatWasCommittedAndTimesEachSync) {
  Open();
  const double syncs = Value("keystead_store_fsync_seconds_count");
  ASSERT_TRUE(Append({1, 1}, {"abc", "de"}).ok());
  ASSERT_TRUE(Append({1, 1}, {"f"}, Durability::kBuffered).ok());
  EXPECT_EQ(Value("keystead_store_commits_total"), 2);
  EXPECT_EQ(Value("keystead_store_entries_total"), 3);
  EXPECT_EQ(Value("keystead_store_appended_bytes_total"), 6);
  EXPECT_EQ(Value("keystead_store_fsync_seconds_count"), syncs + 1) << "of the one that asked for it";
  EXPECT_EQ(Value("keystead_store_commit_seconds_count"), 2);
  EXPECT_EQ(Value("keystead_store_queue_wait_seconds_count"), 2);
  EXPECT_GT(Value("keystead_store_fsync_seconds_sum"), 0);
}

TEST_F(StoreMetricsTest, WhatWaitsHasAnAge) {
  Open();
  EXPECT_EQ(Value("keystead_store_queue_age_seconds"), 0);
  Hold hold(*store_);
  ASSERT_TRUE(store_
                  ->Submit(MakeTask(
                      100, [](Transaction&) { return absl::OkStatus(); }, [](const absl::Status&) {}))
                  .ok());
  EXPECT_EQ(Value("keystead_store_queue_tasks"), 1);
  EXPECT_GE(Value("keystead_store_queue_bytes"), 100);
  const double age = Value("keystead_store_queue_age_seconds");
  EXPECT_GT(age, 0);
  EXPECT_GT(Value("keystead_store_queue_age_seconds"), age) << "it grows while it waits";
}

TEST_F(StoreMetricsTest, AFailingDiskIsSeen) {
  Open();
  EXPECT_EQ(Value("keystead_store_failing_stores"), 0);
  faults_->FailSyncs(true);
  EXPECT_FALSE(Append({1, 1}, {"a"}).ok());
  EXPECT_EQ(Value("keystead_store_failing_stores"), 1);
  EXPECT_GE(Value("keystead_store_failed_commits_total"), 1);
  faults_->FailSyncs(false);
}

TEST_F(StoreMetricsTest, AClosedStoreIsNotServed) {
  Open();
  EXPECT_THAT(RenderMetrics(), HasSubstr("keystead_store_disk_bytes "));
  store_.reset();
  EXPECT_EQ(RenderMetrics().find("keystead_store_"), std::string::npos);
}

TEST_F(StoreMetricsTest, NothingIsTimedWhenNobodyAsked) {
  SetMetricsWanted(false);
  Open();
  ASSERT_TRUE(Append({1, 1}, {"a"}).ok());
  EXPECT_EQ(Value("keystead_store_commits_total"), 1);
  EXPECT_EQ(Value("keystead_store_commit_seconds_count"), 0);
  EXPECT_EQ(Value("keystead_store_fsync_seconds_count"), 0);
  EXPECT_EQ(Value("keystead_store_queue_wait_seconds_count"), 0);
}

}  // namespace
}  // namespace keystead::storage
