// One tenant as a whole: what a snapshot shows, what a replacement changes, and what neither touches.
#include <gmock/gmock.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "core/storage/fault_injection_fs.h"
#include "core/storage/tenant_copy.h"
#include "tests/unit/storage/storage_test_support.h"

namespace keystead::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kOurs = 5;
constexpr uint32_t kBefore = 4;
constexpr uint32_t kBehind = 6;
constexpr LogRef kLog{kOurs, 7};
constexpr Table kTable{16};
constexpr Table kStaying{26};

std::string Text(const TenantItem& item) {
  switch (item.kind) {
    case TenantItem::Kind::kEntry:
      return absl::StrCat("entry ", item.log, "/", item.offset, "=", item.value);
    case TenantItem::Kind::kTrim:
      return absl::StrCat("trim ", item.log, "/", item.offset, "-", item.end);
    case TenantItem::Kind::kRow:
      return absl::StrCat("row ", static_cast<int>(item.table), "/", item.key, "=", item.value);
  }
  return "?";
}

class TenantCopyTest : public StoreTest {
 protected:
  TenantCopyTest() { Open(); }

  absl::Status Put(uint32_t tenant, Table table, std::string_view key, std::string_view value) {
    return store_->Commit([&](Transaction& transaction) {
      transaction.Put(tenant, table, key, value);
      return absl::OkStatus();
    });
  }
  static std::vector<TenantItem> Items(TenantSnapshot& snapshot, size_t max_bytes = 100) {
    std::vector<TenantItem> all;
    while (true) {
      const auto page = snapshot.Next(max_bytes);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->empty()) return all;
      all.insert(all.end(), page->begin(), page->end());
    }
  }
  std::vector<TenantItem> ItemsOf(uint32_t tenant) { return Items(**store_->SnapshotTenant(tenant)); }
  std::vector<std::string> Texts(uint32_t tenant) {
    std::vector<std::string> out;
    for (const TenantItem& item : ItemsOf(tenant)) out.push_back(Text(item));
    return out;
  }
  void Fill() {
    for (const uint32_t tenant : {kBefore, kOurs, kBehind}) {
      ASSERT_TRUE(Append({tenant, 7}, {"a", "b", "c"}).ok());
      ASSERT_TRUE(Append({tenant, 9}, {"x", "y"}).ok());
      ASSERT_TRUE(Put(tenant, kTable, "k1", "v1").ok());
      ASSERT_TRUE(Put(tenant, kTable, "k2", "v2").ok());
      ASSERT_TRUE(Put(tenant, kStaying, "s", "1").ok());
    }
    ASSERT_TRUE(Trim({kOurs, 7}, 1).ok());
  }

  class Replacing final : public Task {
   public:
    explicit Replacing(std::unique_ptr<TenantReplacement> with, absl::Status prepared = {})
        : with_(std::move(with)), prepared_(std::move(prepared)) {}
    absl::Status Prepare(Transaction&) override { return prepared_; }
    void Done(const absl::Status& status) override {
      *result = status;
      done->Notify();
    }
    size_t bytes() const override { return 0; }
    const TenantReplacement* replacement() const override { return with_.get(); }

    std::shared_ptr<absl::Notification> done = std::make_shared<absl::Notification>();
    std::shared_ptr<absl::Status> result = std::make_shared<absl::Status>();

   private:
    const std::unique_ptr<TenantReplacement> with_;
    const absl::Status prepared_;
  };
  absl::Status Replace(const std::vector<TenantItem>& items, absl::Status prepared = {}) {
    auto with = store_->BeginReplacement(kOurs, {{kStaying, ""}});
    if (!with.ok()) return with.status();
    for (const TenantItem& item : items) {
      if (item.kind == TenantItem::Kind::kRow && item.table == kStaying) continue;
      if (absl::Status status = (*with)->Add(item); !status.ok()) return status;
    }
    if (absl::Status status = (*with)->Finish(); !status.ok()) return status;
    auto task = std::make_unique<Replacing>(*std::move(with), std::move(prepared));
    const auto done = task->done;
    const auto result = task->result;
    if (absl::Status status = store_->Submit(std::move(task)); !status.ok()) return status;
    done->WaitForNotification();
    return *result;
  }
};

TEST_F(TenantCopyTest, ASnapshotShowsOneTenantAtOneMoment) {
  Fill();
  const auto snapshot = store_->SnapshotTenant(kOurs);
  ASSERT_TRUE(snapshot.ok());
  ASSERT_TRUE(Append(kLog, {"later"}).ok());
  ASSERT_TRUE(Put(kOurs, kTable, "k1", "later").ok());
  std::vector<std::string> shown;
  for (const TenantItem& item : Items(**snapshot)) shown.push_back(Text(item));
  EXPECT_THAT(shown, ElementsAre("entry 7/1=b", "entry 7/2=c", "entry 9/0=x", "entry 9/1=y", "trim 7/1-3",
                                 "row 16/k1=v1", "row 16/k2=v2", "row 26/s=1"));
  EXPECT_THAT(Texts(99), IsEmpty());
}

// A compaction drops what was trimmed whatever snapshots there are.
TEST_F(TenantCopyTest, WhatIsTrimmedMeanwhileIsStillShown) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Append(kLog, {absl::StrCat("entry ", i)}).ok());
  {
    const auto snapshot = store_->SnapshotTenant(kOurs);
    ASSERT_TRUE(snapshot.ok());
    const auto first = (*snapshot)->Next(1);
    ASSERT_TRUE(first.ok());
    ASSERT_TRUE(Trim(kLog, 40).ok());
    ASSERT_TRUE((*store_->BeginReplacement(99, {}))->Finish().ok());  // flushes, which filters too
    EXPECT_EQ(first->size() + Items(**snapshot).size(), 50u);
  }
  EXPECT_EQ(ItemsOf(kOurs).size(), 10u + 1);
}

TEST_F(TenantCopyTest, AReplacementChangesOneTenantAndLeavesTheOthers) {
  Fill();
  const std::vector<TenantItem> backup = ItemsOf(kOurs);
  const std::vector<std::string> before = Texts(kBefore), behind = Texts(kBehind), ours = Texts(kOurs);
  ASSERT_TRUE(Append(kLog, {"d", "e"}).ok());
  ASSERT_TRUE(Append({kOurs, 11}, {"new log"}).ok());
  ASSERT_TRUE(Trim(kLog, 4).ok());
  ASSERT_TRUE(Put(kOurs, kTable, "k1", "changed").ok());
  ASSERT_TRUE(Put(kOurs, kTable, "k3", "new").ok());
  ASSERT_TRUE(Put(kOurs, kStaying, "s", "2").ok());
  const uint64_t seen = store_->GetBounds(kLog)->end;  // so that it is in memory
  EXPECT_EQ(seen, 5u);

  ASSERT_TRUE(Replace(backup).ok());
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> want = ours;
    want.back() = "row 26/s=2";
    EXPECT_EQ(Texts(kOurs), want) << i;
    EXPECT_EQ(Texts(kBefore), before);
    EXPECT_EQ(Texts(kBehind), behind);
    EXPECT_EQ(*store_->GetBounds(kLog), (Bounds{1, 3}));
    EXPECT_EQ(*store_->GetBounds({kOurs, 11}), (Bounds{0, 0}));
    EXPECT_THAT(storage::Texts(store_->Read(kLog, 1, 100)), ElementsAre("b", "c"));
    EXPECT_EQ(**store_->Get(kOurs, kTable, "k1"), "v1");
    if (i == 0) Open();
    if (i == 1) ASSERT_TRUE(store_->Reclaim(kOurs).ok());  // a compaction over all of it
  }
  ASSERT_TRUE(Append(kLog, {"after"}).ok());
  EXPECT_THAT(storage::Texts(store_->Read(kLog, 2, 100)), ElementsAre("c", "after"));
  EXPECT_EQ(Texts(kBefore), before);
}

TEST_F(TenantCopyTest, WhatWasTrimmedBeforeComesBackAndStays) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Append(kLog, {absl::StrCat("entry ", i)}).ok());
  const std::vector<TenantItem> backup = ItemsOf(kOurs);
  ASSERT_TRUE(Trim(kLog, 50).ok());
  ASSERT_TRUE(store_->Reclaim(kOurs).ok());
  ASSERT_TRUE(Replace(backup).ok());
  ASSERT_TRUE(store_->Reclaim(kOurs).ok());
  EXPECT_EQ(store_->Read(kLog, 0, 1 << 20)->size(), 50u);
  Open();
  ASSERT_TRUE(store_->Reclaim(kOurs).ok());
  EXPECT_EQ(store_->Read(kLog, 0, 1 << 20)->size(), 50u);
}

TEST_F(TenantCopyTest, ATaskThatDoesNotWantItChangesNothing) {
  Fill();
  const std::vector<TenantItem> backup = ItemsOf(kOurs);
  ASSERT_TRUE(Append(kLog, {"d"}).ok());
  const std::vector<std::string> now = Texts(kOurs);
  EXPECT_TRUE(absl::IsFailedPrecondition(Replace(backup, absl::FailedPreconditionError("no"))));
  EXPECT_EQ(Texts(kOurs), now);
}

TEST_F(TenantCopyTest, WhatIsOutOfOrderOrNotToBeReplacedIsRefused) {
  const auto with = store_->BeginReplacement(kOurs, {{kStaying, "s"}, {Table{3}, "x"}});
  ASSERT_TRUE(with.ok());
  const auto entry = [](uint64_t log, uint64_t offset) {
    return TenantItem{.kind = TenantItem::Kind::kEntry, .log = log, .offset = offset, .value = "v"};
  };
  const auto row = [](Table table, std::string key) {
    return TenantItem{.table = table, .key = key, .value = "v"};
  };
  EXPECT_TRUE((*with)->Add(entry(1, 2)).ok());
  EXPECT_TRUE(absl::IsInvalidArgument((*with)->Add(entry(1, 2))));
  EXPECT_TRUE(absl::IsInvalidArgument((*with)->Add(entry(1, 1))));
  EXPECT_TRUE((*with)->Add(row(Table{3}, "w")).ok());
  EXPECT_TRUE(absl::IsInvalidArgument((*with)->Add(row(Table{3}, "x1"))));
  EXPECT_TRUE(absl::IsInvalidArgument((*with)->Add(entry(2, 0))));
  EXPECT_TRUE(absl::IsInvalidArgument((*with)->Add(row(kStaying, "s"))));
  EXPECT_TRUE(
      absl::IsInvalidArgument((*with)->Add({.kind = TenantItem::Kind::kTrim, .offset = 2, .end = 1})));
  EXPECT_TRUE((*with)->Add(row(kStaying, "t")).ok());
}

// The files of an erased tenant do not stay because somebody reads another one.
TEST_F(TenantCopyTest, AnErasureEndsSnapshots) {
  Fill();
  const auto snapshot = store_->SnapshotTenant(kBehind);
  ASSERT_TRUE(snapshot.ok());
  ASSERT_TRUE((*snapshot)->Next(1).ok());
  ASSERT_TRUE(store_
                  ->Commit([](Transaction& transaction) {
                    transaction.EraseTenant(kOurs);
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(store_->Reclaim(kOurs).ok());
  EXPECT_TRUE(absl::IsAborted((*snapshot)->Next(1).status()));
  EXPECT_EQ(Texts(kBehind).size(), 8u);
}

TEST_F(TenantCopyTest, WhatAReplacementLeavesBehindIsClearedAway) {
  const auto files = [&] {
    size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(options_.path))
      count += file.path().filename().string().starts_with("replacement-") ? 1 : 0;
    return count;
  };
  {
    const auto with = store_->BeginReplacement(kOurs, {});
    EXPECT_EQ(files(), 2u);
  }
  EXPECT_EQ(files(), 0u);
  Fill();
  ASSERT_TRUE(Replace(ItemsOf(kOurs)).ok());
  EXPECT_EQ(files(), 0u);
  store_.reset();
  { std::ofstream(options_.path + "/replacement-9-rows.sst") << "of a process that was killed"; }
  Open();
  EXPECT_EQ(files(), 0u);
}

// The power goes after every single change of the disk that a replacement makes.
TEST_F(TenantCopyTest, WhenThePowerFailsItIsTheOldOrTheNewAndNeverAMixture) {
  const auto disk = std::make_shared<FaultInjectionFs>();
  size_t not_replaced = 0, through = 0;
  for (uint64_t changes = 1; through < 2; changes += 2) {
    ASSERT_LT(changes, 500u) << "it never comes through";
    store_.reset();
    std::filesystem::remove_all(options_.path);
    options_.file_system = disk;
    Open();
    Fill();
    const std::vector<TenantItem> backup = ItemsOf(kOurs);
    const std::vector<std::string> backed_up = Texts(kOurs), before = Texts(kBefore), behind = Texts(kBehind);
    ASSERT_TRUE(Append(kLog, {"d", "e"}).ok());
    ASSERT_TRUE(Put(kOurs, kTable, "k1", "changed").ok());
    const std::vector<std::string> written_since = Texts(kOurs);
    disk->PowerOffAfter(changes);
    const bool said_done = Replace(backup).ok();
    const bool cut = disk->powered_off();
    store_.reset();
    disk->DropUnsynced(RandomSource::System());
    Open();
    const std::vector<std::string> found = Texts(kOurs);
    EXPECT_TRUE(found == backed_up || found == written_since) << changes;
    if (said_done) EXPECT_EQ(found, backed_up) << changes;
    EXPECT_EQ(Texts(kBefore), before) << changes;
    EXPECT_EQ(Texts(kBehind), behind) << changes;
    ASSERT_TRUE(Append(kLog, {"goes on"}).ok());
    not_replaced += found == written_since ? 1 : 0;
    through += said_done && !cut ? 1 : 0;
  }
  EXPECT_GT(not_replaced, 5u);
}

}  // namespace
}  // namespace keystead::storage
