#include "backend/piecewise_trim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/status.h"
#include "core/transport/group_view.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/transport/test_groups.h"

namespace keystead::backend {
namespace {

using keystead::testing::kAcme;
using keystead::testing::TestGroup;
using keystead::testing::TestHeader;
using keystead::testing::TestPki;

constexpr uint64_t kGroups = 1000;  // of each topic
constexpr int kTopics = 3;
constexpr uint64_t kAtATime = 256;
constexpr uint64_t kCheckpoint = 64;

// Behind every task that comes in, somebody else's.
class BusyStore final : public storage::LogStore {
 public:
  explicit BusyStore(storage::LogStore* inner) : inner_(inner) {}
  absl::Status Submit(std::unique_ptr<storage::Task> task) override {
    KS_RETURN_IF_ERROR(inner_->Submit(std::make_unique<Noted>(order, std::move(task))));
    return inner_->Submit(storage::MakeTask(
        0, [](storage::Transaction&) { return absl::OkStatus(); },
        [this](const absl::Status&) { order += "o"; }));
  }
  absl::StatusOr<std::vector<storage::Entry>> Read(storage::LogRef log, uint64_t from,
                                                   size_t max_bytes) const override {
    return inner_->Read(log, from, max_bytes);
  }
  absl::StatusOr<storage::Bounds> GetBounds(storage::LogRef log) const override {
    return inner_->GetBounds(log);
  }
  std::unique_ptr<storage::Watcher> Watch(storage::LogRef log, std::function<void(uint64_t)> on) override {
    return inner_->Watch(log, std::move(on));
  }
  absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, storage::Table table,
                                                 std::string_view key) const override {
    return inner_->Get(tenant, table, key);
  }
  absl::StatusOr<std::vector<storage::Row>> Scan(uint32_t tenant, storage::Table table,
                                                 const storage::ScanRange& range) const override {
    return inner_->Scan(tenant, table, range);
  }
  absl::Status Reclaim(uint32_t tenant) override { return inner_->Reclaim(tenant); }
  storage::Stats GetStats() const override { return inner_->GetStats(); }
  absl::Status Health() const override { return inner_->Health(); }

  std::string order;  // "p": a piece is done, "o": another's task. THREAD: the store's writer

 private:
  class Noted final : public storage::Task {
   public:
    Noted(std::string& order, std::unique_ptr<storage::Task> task) : order_(order), task_(std::move(task)) {}
    absl::Status Prepare(storage::Transaction& transaction) override { return task_->Prepare(transaction); }
    void Done(const absl::Status& status) override {
      order_ += "p";
      task_->Done(status);
    }
    size_t bytes() const override { return task_->bytes(); }

   private:
    std::string& order_;
    const std::unique_ptr<storage::Task> task_;
  };
  storage::LogStore* const inner_;
};

class PiecewiseTrimTest : public ::testing::Test {
 protected:
  PiecewiseTrimTest() {
    EXPECT_TRUE(directory_.LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
    storage::Options options;
    options.path = TestPki::Shared().NewFolder() + "/store";
    options.format_name = "test";
    store_ = *storage::LogStore::Open(options);
    tenants_ = *Tenants::Open(*store_, directory_);
    tenant_.emplace(*tenants_->Known(testing::Tenant(kAcme)));
    log_ = std::make_unique<RecordLog>(store_.get(), RecordLog::Options{.clock = &clock_});
    for (int topic = 0; topic < kTopics; ++topic) Fill(topic);
    const auto all = *log_->Logs(tenant_->number(), std::nullopt, 100);
    for (const RecordLog::OwnedLog& log : all) logs_.push_back(log.log.ref);
  }
  void Fill(int topic) {
    for (uint64_t sequence = 0; sequence < kGroups; ++sequence) {
      const storage::Payload group = TestGroup(TestHeader(topic), {{sequence, "sealed"}});
      GroupHeaderCache headers;
      const GroupView view = *GroupView::Parse(*group, headers);
      RecordLogChanges changes;
      const StoredChange change{1, static_cast<int64_t>(group->size())};
      ASSERT_TRUE(storage::RunTask(
                      *store_,
                      [&](storage::Transaction& transaction) -> absl::Status {
                        absl::Status status =
                            log_->Append(transaction, tenant_->number(), view, group, changes).status();
                        if (status.ok()) status = tenant_->account().Add(transaction, change);
                        if (!status.ok()) log_->Finish(changes, status);
                        return status;
                      },
                      [&](const absl::Status& status) {
                        log_->Finish(changes, status);
                        tenant_->account().Settle(status, change);
                      },
                      storage::Durability::kBuffered)
                      .ok());
    }
  }
  uint64_t Kept(storage::LogRef log) const {
    const storage::Bounds bounds = *store_->GetBounds(log);
    return bounds.end - bounds.first;
  }

  ManualClock clock_{absl::Now()};
  TenantDirectory directory_;
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<Tenants> tenants_;
  std::optional<TenantView> tenant_;
  std::unique_ptr<RecordLog> log_;
  std::vector<storage::LogRef> logs_;
};

TEST_F(PiecewiseTrimTest, OthersAreServedBetweenThePiecesOfOneTenantsRetention) {
  ASSERT_EQ(logs_.size(), size_t{kTopics});
  clock_.Advance(absl::Hours(1));
  BusyStore busy(store_.get());
  PiecewiseTrim trim({&busy, log_.get()}, kAtATime);
  ASSERT_TRUE(trim.RemoveOld(*tenant_, logs_, absl::Minutes(30)).ok());
  ASSERT_TRUE(store_->Commit([](storage::Transaction&) { return absl::OkStatus(); }).ok());
  uint64_t kept = 0;
  for (const storage::LogRef& log : logs_) {
    EXPECT_LE(Kept(log), kCheckpoint);
    kept += Kept(log);
  }
  EXPECT_EQ(tenant_->account().stored().groups, kept);
  std::string alternating;
  while (alternating.size() < busy.order.size()) alternating += "po";
  EXPECT_EQ(busy.order, alternating);
  const uint64_t removed = kTopics * kGroups - kept;
  EXPECT_GE(busy.order.size() / 2, removed / (kAtATime + 2 * kCheckpoint));
}

TEST_F(PiecewiseTrimTest, WhatIsYoungStays) {
  PiecewiseTrim trim({store_.get(), log_.get()}, kAtATime);
  ASSERT_TRUE(trim.RemoveOld(*tenant_, logs_, absl::Minutes(30)).ok());
  for (const storage::LogRef& log : logs_) EXPECT_EQ(Kept(log), kGroups);
  ASSERT_TRUE(trim.RemoveOld(*tenant_, {}, absl::ZeroDuration()).ok());
  EXPECT_EQ(tenant_->account().stored().groups, kTopics * kGroups);
}

}  // namespace
}  // namespace keystead::backend
