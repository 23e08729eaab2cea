// What backups are for: the store is lost, or the power fails while one is put back.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "core/storage/fault_injection_fs.h"
#include "tests/unit/backend/backup_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::Contains;

constexpr auto kRestored = v1::RESTORE_OUTCOME_RESTORED;
constexpr auto kKeyGone = v1::RESTORE_OUTCOME_KEY_GONE;

using RecoveryTest = BackupTest;

TEST_F(RecoveryTest, AfterALossOfTheStoreATenantComesBackFromItsBackup) {
  const std::vector<std::string> had = Telemetry();
  const std::vector<std::string> audited = AuditActions(kAcme);
  const v1::UsageResponse used = UsageOf(kAcme);
  const std::string backup = Backup(), theirs = Backup(kGlobex);
  StopBackend();
  std::filesystem::rename(options_.store.path, options_.store.path + ".lost");
  Start();
  EXPECT_EQ(UsageOf(kAcme).instantiations(), 0u);
  EXPECT_EQ(Restore(kGlobex, backup).outcome(), v1::RESTORE_OUTCOME_OTHER_TENANT);
  const Restored restored = Restore(backup);
  ASSERT_EQ(restored.outcome(), kRestored) << restored.status.error_message();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Telemetry(), had);
    EXPECT_EQ(UsageOf(kAcme).stored_bytes(), used.stored_bytes());
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 1u);
    EXPECT_EQ(UsageOf(kGlobex).instantiations(), 0u);
    const std::vector<std::string> after = AuditActions(kAcme);
    ASSERT_GT(after.size(), audited.size());
    EXPECT_TRUE(std::equal(audited.begin(), audited.end(), after.begin()));
    EXPECT_THAT(after, Contains("tenant_restored"));
    Restart();
  }
  Publish(3, 5);
  EXPECT_EQ(Restore(backup).outcome(), v1::RESTORE_OUTCOME_OTHER_STORE);  // now it has data here
  EXPECT_EQ(Telemetry().size(), 5u);
  ASSERT_EQ(Restore(kGlobex, theirs).outcome(), kRestored);
  EXPECT_TRUE(Spy().FetchFrom(kGlobex, their_home_->id()).ok());
  ASSERT_EQ(Restore(Backup()).outcome(), kRestored);  // a backup of this store is one of its own

  ASSERT_TRUE(EraseTenant(kAcme).ok());  // in every copy, those of the lost store too
  ASSERT_TRUE(Create(kAcme).ok());
  EXPECT_EQ(Restore(backup).outcome(), kKeyGone);
}

TEST_F(RecoveryTest, AKeystoreThatIsOlderThanTheBackupIsTold) {
  StopBackend();
  const std::string keys = options_.store.path + ".keys";
  std::filesystem::copy(keys, keys + ".old", std::filesystem::copy_options::recursive);
  Start();
  v1::TenantAdmin::Stub stub(Operator().channel());
  v1::RotateKeyRequest rotate;
  rotate.set_tenant(kAcme);
  v1::RotateKeyResponse rotated;
  grpc::ClientContext context;
  ASSERT_TRUE(stub.RotateKey(&context, rotate, &rotated).ok());
  Publish(3, 4);
  const std::string backup = Backup();
  StopBackend();
  std::filesystem::rename(keys, keys + ".new");
  std::filesystem::rename(keys + ".old", keys);
  std::filesystem::rename(options_.store.path, options_.store.path + ".lost");
  Start();
  EXPECT_EQ(Restore(backup).outcome(), v1::RESTORE_OUTCOME_KEYS_OLDER);
  EXPECT_EQ(UsageOf(kAcme).stored_groups(), 0u);
}

// The power goes at one place after the other.
TEST_F(RecoveryTest, WhenThePowerFailsTheTenantHasTheOldOrTheNewAndTheOthersWhatTheyHad) {
  const auto disk = std::make_shared<storage::FaultInjectionFs>();
  SeededRandom random(29);
  const std::string backup = Backup();
  StopBackend();
  options_.store.file_system = disk;
  options_.store.retry_interval = absl::Milliseconds(20);
  const std::string others = EverybodyElse(kAcmeNumber);
  Start();
  size_t went_back = 0, stayed = 0;
  uint64_t sequence = 3;
  for (uint64_t changes = 1; went_back < 2; changes += 4) {
    SCOPED_TRACE(changes);
    ASSERT_LT(changes, 400u);
    Publish(sequence, sequence + 2);
    sequence += 2;
    const std::vector<std::string> now = Telemetry();
    const uint64_t stored = UsageOf(kAcme).stored_groups();
    disk->PowerOffAfter(changes);
    const bool answered = Restore(backup).outcome() == kRestored;
    StopBackend();
    disk->DropUnsynced(random);
    const std::string others_now = EverybodyElse(kAcmeNumber);
    EXPECT_EQ(others_now, others);
    Start();
    disk->PowerOffAfter(UINT64_MAX);
    const std::vector<std::string> found = Telemetry();
    const std::vector<std::string> first(now.begin(), now.begin() + 3);
    EXPECT_TRUE(found == now || found == first) << found.size();
    if (answered) EXPECT_EQ(found, first);
    EXPECT_EQ(UsageOf(kAcme).stored_groups(), stored - (now.size() - found.size()));
    const std::vector<std::string> log = AuditActions(kAcme);
    went_back += found == now ? 0 : 1;
    stayed += found == now ? 1 : 0;
    EXPECT_EQ(static_cast<size_t>(std::count(log.begin(), log.end(), "tenant_restored")), went_back);
  }
  EXPECT_GT(stayed, 2u);
}

}  // namespace
}  // namespace keystead::testing
