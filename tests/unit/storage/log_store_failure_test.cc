#include <sys/mount.h>
#include <unistd.h>

#include <fstream>

#include "core/storage/fault_injection_fs.h"
#include "tests/unit/storage/storage_test_support.h"

namespace keystead::storage {
namespace {

using Strings = std::vector<std::string>;
constexpr LogRef kLog{1, 1};

class LogStoreFailureTest : public StoreTest {
 protected:
  LogStoreFailureTest() { options_.file_system = faults_; }
  // The disk refused "lost", is well again, and nothing of it is left, now or after a restart.
  void ExpectRecovery() {
    EXPECT_FALSE(store_->Health().ok());
    EXPECT_EQ(Texts(store_->Read(kLog, 0, 1 << 20)), (Strings{"a"}));
    absl::Status status;
    for (int i = 0; i < 50 && !(status = Append(kLog, {"b"})).ok(); ++i) {
    }
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_TRUE(store_->Health().ok());
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(Texts(store_->Read(kLog, 0, 1 << 20)), (Strings{"a", "b"}));
      EXPECT_EQ(*store_->GetBounds({1, 2}), (Bounds{0, 0}));
      Open();
    }
  }
  const std::shared_ptr<FaultInjectionFs> faults_ = std::make_shared<FaultInjectionFs>();
};

TEST_F(LogStoreFailureTest, SyncsOnlyWhatAsksForIt) {
  Open();
  ASSERT_TRUE(Append(kLog, {"a"}).ok());
  const uint64_t before = faults_->syncs();
  ASSERT_TRUE(Append(kLog, {"b"}, Durability::kBuffered).ok());
  EXPECT_EQ(faults_->syncs(), before);
  ASSERT_TRUE(store_->Commit([](Transaction&) { return absl::OkStatus(); }).ok());  // makes "b" durable
  EXPECT_EQ(faults_->syncs(), before + 1);
  ASSERT_TRUE(store_->Commit([](Transaction&) { return absl::OkStatus(); }).ok());  // nothing to do
  EXPECT_EQ(faults_->syncs(), before + 1);
}

TEST_F(LogStoreFailureTest, RecoversFromAFullDiskWithoutRestart) {
  Open();
  ASSERT_TRUE(Append(kLog, {"a"}).ok());
  faults_->SetFreeBytes(1000);
  EXPECT_EQ(Append({1, 2}, Strings(10, std::string(5000, 'x'))).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Append({1, 2}, {"small"}).code(), absl::StatusCode::kResourceExhausted);
  faults_->SetFreeBytes(std::nullopt);
  ExpectRecovery();
}

TEST_F(LogStoreFailureTest, AFailedSyncTakesTheBatchBack) {
  Open();
  ASSERT_TRUE(Append(kLog, {"a"}).ok());
  faults_->FailSyncs(true);
  EXPECT_EQ(Append({1, 2}, {"lost"}).code(), absl::StatusCode::kUnavailable);
  faults_->FailSyncs(false);
  ExpectRecovery();
}

TEST_F(LogStoreFailureTest, AFailedBatchStaysAwayAfterARestartDuringTheFailure) {
  Open();
  ASSERT_TRUE(Append(kLog, {"a"}).ok());
  faults_->FailSyncs(true);
  EXPECT_EQ(Append({1, 2}, {"lost"}).code(), absl::StatusCode::kUnavailable);
  store_.reset();
  faults_->FailSyncs(false);
  Open();
  EXPECT_EQ(Texts(store_->Read(kLog, 0, 100)), (Strings{"a"}));
  EXPECT_EQ(*store_->GetBounds({1, 2}), (Bounds{0, 0}));
}

TEST_F(LogStoreFailureTest, RecoversOnARealFullDisk) {
  const std::string mountpoint = directory_ + "/small";
  std::filesystem::create_directories(mountpoint);
  if (mount("tmpfs", mountpoint.c_str(), "tmpfs", 0, "size=24m") != 0) {
    GTEST_SKIP() << "needs the right to mount a tmpfs";
  }
  options_.file_system = nullptr;
  options_.path = mountpoint + "/store";
  options_.write_buffer_bytes = 1 << 20;
  Open();
  ASSERT_TRUE(Append(kLog, {"a"}).ok());
  const std::string ballast = mountpoint + "/ballast";
  std::ofstream(ballast) << std::string(16 << 20, 'x');
  absl::Status status;
  uint64_t acknowledged = 0;
  for (int i = 0; i < 200; ++i) {
    status = Append({1, 2}, {std::string(100'000, 'y')});
    if (!status.ok()) break;
    ++acknowledged;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(Texts(store_->Read(kLog, 0, 100)), (Strings{"a"}));
  std::filesystem::remove(ballast);
  for (int i = 0; i < 50 && !(status = Append(kLog, {"b"})).ok(); ++i) {
  }
  EXPECT_TRUE(status.ok()) << status;
  Open();
  EXPECT_EQ(Texts(store_->Read(kLog, 0, 100)), (Strings{"a", "b"}));
  EXPECT_EQ(*store_->GetBounds({1, 2}), (Bounds{0, acknowledged}));
  store_.reset();
  umount(mountpoint.c_str());
}

}  // namespace
}  // namespace keystead::storage
