#include "backend/fair_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "backend/hop.h"
#include "core/transport/limit_status.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::backend {
namespace {

using keystead::testing::Id;
using keystead::testing::kAcme;
using keystead::testing::kGlobex;
using keystead::testing::TestPki;
using ::testing::ElementsAre;

// Takes tasks and does them when the test says so.
class HeldStore final : public storage::LogStore {
 public:
  absl::Status Submit(std::unique_ptr<storage::Task> task) override {
    if (closing) return absl::UnavailableError("closing");
    if (!tasks.empty() && bytes + task->bytes() > queue_bytes) return absl::ResourceExhaustedError("full");
    bytes += task->bytes();
    tasks.push_back(std::move(task));
    return absl::OkStatus();
  }
  void DoOne() {
    const std::unique_ptr<storage::Task> task = std::move(tasks.front());
    tasks.pop_front();
    bytes -= task->bytes();
    task->Done(absl::OkStatus());
  }

  absl::StatusOr<std::vector<storage::Entry>> Read(storage::LogRef, uint64_t, size_t) const override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<storage::Bounds> GetBounds(storage::LogRef) const override {
    return absl::UnimplementedError("");
  }
  std::unique_ptr<storage::Watcher> Watch(storage::LogRef, std::function<void(uint64_t)>) override {
    return nullptr;
  }
  absl::StatusOr<std::optional<std::string>> Get(uint32_t, storage::Table, std::string_view) const override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::vector<storage::Row>> Scan(uint32_t, storage::Table,
                                                 const storage::ScanRange&) const override {
    return absl::UnimplementedError("");
  }
  absl::Status Reclaim(uint32_t) override { return absl::OkStatus(); }
  storage::Stats GetStats() const override { return {}; }
  absl::Status Health() const override { return absl::OkStatus(); }

  std::deque<std::unique_ptr<storage::Task>> tasks;
  bool closing = false;
  size_t bytes = 0;
  size_t queue_bytes = SIZE_MAX;
};

class FairQueueTest : public ::testing::Test {
 protected:
  FairQueueTest() {
    EXPECT_TRUE(directory_.LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
    storage::Options store;
    store.path = TestPki::Shared().NewFolder() + "/store";
    store.format_name = "test";
    rows_ = *storage::LogStore::Open(store);
    tenants_ = *Tenants::Open(*rows_, directory_);
  }
  TenantView Of(std::string_view tenant) const {
    return *tenants_->Of(Principal::ForTesting(*SpiffeId::Of(testing::Tenant(tenant), Role::kDevice, "d")));
  }
  // A task of so many bytes that says its name when it is done.
  absl::Status Submit(FairQueue& queue, std::string_view tenant, size_t bytes, const std::string& name) {
    return queue.Submit(Of(tenant), storage::MakeTask(
                                        bytes, [](storage::Transaction&) { return absl::OkStatus(); },
                                        [this, name](const absl::Status&) { done_.push_back(name); }));
  }
  void DoAll() {
    while (!store_.tasks.empty()) store_.DoOne();
  }

  TenantDirectory directory_;
  std::unique_ptr<storage::LogStore> rows_;
  std::unique_ptr<Tenants> tenants_;
  HeldStore store_;
  std::vector<std::string> done_;
  // One task of 1000 bytes at the writer, one in each round.
  const FairQueue::Options one_{
      .pace = {.most_bytes = 1000}, .waiting_bytes = 100'000, .quantum_bytes = 1000, .task_cost = 0};
};

TEST_F(FairQueueTest, TheLightTenantPassesTheHeavyOnesBacklog) {
  FairQueue queue(&store_, one_);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Submit(queue, kAcme, 1000, "heavy" + std::to_string(i)).ok());
  EXPECT_EQ(store_.tasks.size(), 1u);  // what the writer may have
  ASSERT_TRUE(Submit(queue, kGlobex, 10, "light").ok());
  DoAll();
  EXPECT_THAT(done_, ElementsAre("heavy0", "light", "heavy1", "heavy2", "heavy3", "heavy4"));
}

TEST_F(FairQueueTest, EqualTenantsShareTheBytesWhateverTheirTasksWeigh) {
  FairQueue queue(&store_, one_);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Submit(queue, kAcme, 1000, "large").ok());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Submit(queue, kGlobex, 100, "small").ok());
  std::map<std::string, size_t> bytes;
  while (done_.size() < 55) store_.DoOne();
  for (const std::string& name : done_) bytes[name] += name == "large" ? 1000 : 100;
  EXPECT_NEAR(static_cast<double>(bytes["large"]), static_cast<double>(bytes["small"]), 1000);
}

TEST_F(FairQueueTest, WeightsDivideTheWriter) {
  Of(kAcme).account().SetLimits({.weight = 3});
  FairQueue queue(&store_, one_);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(Submit(queue, kAcme, 500, "three").ok());
    ASSERT_TRUE(Submit(queue, kGlobex, 500, "one").ok());
  }
  while (done_.size() < 40) store_.DoOne();
  EXPECT_NEAR(static_cast<double>(std::count(done_.begin(), done_.end(), "three")), 30, 3);
}

TEST_F(FairQueueTest, OfTooMuchTheOneIsRefusedWhoHasMoreThanItsPart) {
  FairQueue::Options options = one_;
  options.waiting_bytes = 10'000;
  FairQueue queue(&store_, options);
  for (int i = 0; i < 11; ++i) ASSERT_TRUE(Submit(queue, kAcme, 1000, "").ok());  // one of them at the writer
  const absl::Status refused = Submit(queue, kAcme, 1000, "");
  EXPECT_EQ(LimitNameOf(refused), "queue");
  EXPECT_TRUE(RetryDelayOf(refused).has_value());
  EXPECT_EQ(Of(kAcme).account().Usage().refused.at("queue"), 1u);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Submit(queue, kGlobex, 1000, "").ok()) << i;
  EXPECT_FALSE(Submit(queue, kGlobex, 1000, "").ok());
  EXPECT_EQ(queue.UsageOf(Of(kAcme)).waiting_bytes, 10'000u);
  DoAll();
  EXPECT_EQ(queue.UsageOf(Of(kAcme)).waiting_bytes, 0u);
  EXPECT_TRUE(Submit(queue, kAcme, 1000, "").ok());
  DoAll();
}

TEST_F(FairQueueTest, WhatTheQueueRefusesIsNotCharged) {
  FairQueue::Options options = one_;
  options.waiting_bytes = 1000;
  FairQueue queue(&store_, options);
  BackendHop hop(nullptr, tenants_.get(), nullptr, &store_, &queue);
  constexpr TaskLoad kLoad{.records = 1, .bytes = 1000};
  const Principal device = Principal::ForTesting(*SpiffeId::Of(testing::Tenant(kAcme), Role::kDevice, "d"));
  const auto bring = [&] {
    return hop.Submit(
        device,
        storage::MakeTask(
            1000, [](storage::Transaction&) { return absl::OkStatus(); }, [](const absl::Status&) {}),
        kLoad);
  };
  Of(kAcme).account().SetLimits(
      {.records_per_second = 1e-9, .records_burst = 4, .bytes_per_second = 1e-6, .bytes_burst = 4000});
  EXPECT_TRUE(bring().ok() && bring().ok());  // one at the writer, one waits
  for (int i = 0; i < 9; ++i) EXPECT_EQ(LimitNameOf(bring()), "queue");
  EXPECT_EQ(Of(kAcme).account().Usage().records_in, 2u);
  EXPECT_EQ(Of(kAcme).account().Usage().bytes_in, 2000u);
  DoAll();
  EXPECT_TRUE(bring().ok() && bring().ok());
  DoAll();
  EXPECT_EQ(LimitNameOf(bring()), "records_per_second");
}

TEST_F(FairQueueTest, AFullStoreIsAskedAgainForEveryTask) {
  FairQueue::Options options = one_;
  options.pace.most_bytes = 100'000;
  FairQueue queue(&store_, options);
  store_.queue_bytes = 2500;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Submit(queue, kAcme, 1000, "own" + std::to_string(i)).ok());
  EXPECT_EQ(store_.tasks.size(), 2u);
  DoAll();
  EXPECT_THAT(done_, ElementsAre("own0", "own1", "own2", "own3", "own4"));
  queue.Drain();
}

TEST_F(FairQueueTest, AStoreThatOthersHaveFilledTakesTheQueuesTasksWhenItHasRoom) {
  FairQueue queue(&store_, one_);
  store_.queue_bytes = 2500;
  const auto others = [&](const std::string& name) {
    return store_.Submit(storage::MakeTask(
        2400, [](storage::Transaction&) { return absl::OkStatus(); },
        [this, name](const absl::Status&) { done_.push_back(name); }));
  };
  ASSERT_TRUE(others("others0").ok());
  ASSERT_TRUE(Submit(queue, kAcme, 1000, "own0").ok());
  ASSERT_TRUE(Submit(queue, kGlobex, 1000, "theirs0").ok());
  store_.DoOne();
  ASSERT_TRUE(others("others1").ok());  // before the queue has noticed
  DoAll();
  EXPECT_THAT(done_, ElementsAre("others0", "others1", "own0", "theirs0"));
  queue.Drain();
}

// Comes back when it is destroyed without having been done, as a publisher's call may.
class ReturningTask final : public storage::Task {
 public:
  ReturningTask(FairQueue* queue, TenantView tenant, int* dropped)
      : queue_(queue), tenant_(tenant), dropped_(dropped) {}
  ~ReturningTask() override {
    ++*dropped_;
    if (*dropped_ < 3) {
      static_cast<void>(queue_->Submit(tenant_, std::make_unique<ReturningTask>(queue_, tenant_, dropped_)));
    }
  }
  absl::Status Prepare(storage::Transaction&) override { return absl::OkStatus(); }
  void Done(const absl::Status&) override {}
  size_t bytes() const override { return 1; }

 private:
  FairQueue* const queue_;
  const TenantView tenant_;
  int* const dropped_;
};

TEST_F(FairQueueTest, WhatTheStoreRefusesIsDroppedAndMayComeBack) {
  FairQueue queue(&store_, one_);
  store_.closing = true;
  int dropped = 0;
  EXPECT_TRUE(queue.Submit(Of(kAcme), std::make_unique<ReturningTask>(&queue, Of(kAcme), &dropped)).ok());
  EXPECT_EQ(dropped, 3);
  queue.Drain();  // nothing is left of them
}

}  // namespace
}  // namespace keystead::backend
