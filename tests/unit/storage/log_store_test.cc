#include "core/storage/log_store.h"

#include "tests/unit/storage/storage_test_support.h"

namespace keystead::storage {
namespace {

using LogStoreTest = StoreTest;
using Strings = std::vector<std::string>;
constexpr LogRef kLog{1, 1};
constexpr Table kTable{3};

TEST_F(LogStoreTest, ReadsWhatWasAppendedAlsoAfterReopening) {
  Open();
  ASSERT_TRUE(Append(kLog, {"a", "bb", std::string(10'000, 'c')}).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Texts(store_->Read(kLog, 0, 1 << 20)), (Strings{"a", "bb", std::string(10'000, 'c')}));
    EXPECT_EQ(Texts(store_->Read(kLog, 1, 1)), (Strings{"bb"}));
    EXPECT_EQ(Texts(store_->Read(kLog, 3, 1)), Strings{});
    EXPECT_EQ(store_->Read(kLog, 4, 1).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(*store_->GetBounds(kLog), (Bounds{0, 3}));
    EXPECT_EQ(*store_->GetBounds({1, 2}), (Bounds{0, 0}));
    EXPECT_EQ(*store_->GetBounds({2, 1}), (Bounds{0, 0}));
    Open();
  }
}

TEST_F(LogStoreTest, OffsetsGoOnAfterEverythingWasTrimmed) {
  Open();
  ASSERT_TRUE(Append(kLog, {"a", "b"}).ok());
  ASSERT_TRUE(Trim(kLog, 99).ok());
  EXPECT_EQ(*store_->GetBounds(kLog), (Bounds{2, 2}));
  Open();
  EXPECT_EQ(*store_->GetBounds(kLog), (Bounds{2, 2}));
  ASSERT_TRUE(Append(kLog, {"c"}).ok());
  EXPECT_EQ(store_->Read(kLog, 1, 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Texts(store_->Read(kLog, 2, 1)), (Strings{"c"}));
  ASSERT_TRUE(Trim(kLog, 1).ok());  // backwards: nothing
  EXPECT_EQ(*store_->GetBounds(kLog), (Bounds{2, 3}));
}

TEST_F(LogStoreTest, TrimmedJournalsDoNotReachTheDisk) {
  options_.write_buffer_bytes = 1 << 20;
  options_.tail_cache_bytes = 0;
  Open();
  for (uint64_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(Append({1, i % 10}, Strings(100, std::string(300, 'x')), Durability::kBuffered).ok());
    ASSERT_TRUE(Trim({1, i % 10}, 100 * (i / 10 + 1) - 1).ok());
  }
  EXPECT_LT(store_->GetStats().disk_bytes, 1u << 20);  // of 9 MB appended
  for (uint64_t log = 0; log < 10; ++log) {
    EXPECT_EQ(*store_->GetBounds({1, log}), (Bounds{2999, 3000}));
    EXPECT_EQ(store_->Read({1, log}, 2999, 1)->size(), 1u);
  }
}

TEST_F(LogStoreTest, TrimsThatNobodySyncsDoNotGather) {
  options_.max_unsynced_trims = 8;
  Open();
  for (uint64_t log = 0; log < 100; ++log) {
    ASSERT_TRUE(Append({1, log}, {"x", "y"}, Durability::kBuffered).ok());
    for (uint64_t kept = 1; kept <= 2; ++kept) {
      ASSERT_TRUE(store_->Commit(
                            [&](Transaction& t) {
                              return t.Trim({1, log}, kept);
                            },
                            Durability::kBuffered)
                      .ok());
    }
  }
  EXPECT_GE(store_->GetStats().syncs, 11u);
  EXPECT_LE(store_->GetStats().syncs, 13u);
}

TEST_F(LogStoreTest, AFailedPrepareLeavesNothing) {
  Open();
  ASSERT_TRUE(Append(kLog, {"a"}).ok());
  const absl::Status status = store_->Commit([](Transaction& t) -> absl::Status {
    EXPECT_EQ(*t.Append(kLog, Make("b")), 1u);
    EXPECT_EQ(*t.Append({2, 1}, Make("b")), 0u);
    t.Put(1, kTable, "k", "v");
    EXPECT_TRUE(t.Trim(kLog, 2).ok());
    t.EraseTenant(1);
    EXPECT_EQ(*t.Append(kLog, Make("c")), 0u);
    return absl::AbortedError("no");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  ASSERT_TRUE(Append(kLog, {"z"}).ok());
  EXPECT_EQ(Texts(store_->Read(kLog, 0, 100)), (Strings{"a", "z"}));
  EXPECT_EQ(*store_->GetBounds({2, 1}), (Bounds{0, 0}));
  EXPECT_EQ(*store_->Get(1, kTable, "k"), std::nullopt);
}

TEST_F(LogStoreTest, TasksOfOneCommitSeeEachOtherInOrder) {
  Open();
  Hold hold(*store_);
  std::vector<int> won;
  for (int i = 0; i < 3; ++i) {  // compare and set: only the first finds nothing
    ASSERT_TRUE(store_
                    ->Submit(MakeTask(
                        10,
                        [](Transaction& t) -> absl::Status {
                          const auto row = t.Get(1, kTable, "k");
                          if (!row.ok()) return row.status();
                          if (row->has_value()) return absl::AlreadyExistsError("taken");
                          t.Put(1, kTable, "k", "v");
                          return absl::OkStatus();
                        },
                        [&won, i](const absl::Status& s) {
                          if (s.ok()) won.push_back(i);
                        }))
                    .ok());
  }
  hold.Release();
  ASSERT_TRUE(store_->Commit([](Transaction&) { return absl::OkStatus(); }).ok());
  EXPECT_EQ(won, (std::vector<int>{0}));
  EXPECT_LE(store_->GetStats().commits, 3u);
}

TEST_F(LogStoreTest, ScansMergePendingRowsWithCommittedOnes) {
  Open();
  ASSERT_TRUE(store_
                  ->Commit([](Transaction& t) {
                    for (const char* key : {"a", "b1", "b2", "b4", "c"}) t.Put(1, kTable, key, "old");
                    t.Put(2, kTable, "b9", "other tenant");
                    t.Put(1, Table{4}, "b9", "other table");
                    return absl::OkStatus();
                  })
                  .ok());
  const auto keys = [](const absl::StatusOr<std::vector<Row>>& rows) {
    Strings out;
    for (const Row& row : *rows) out.push_back(row.key + "=" + row.value);
    return out;
  };
  EXPECT_EQ(keys(store_->Scan(1, kTable, {"b", "", 10})), (Strings{"b1=old", "b2=old", "b4=old"}));
  EXPECT_EQ(keys(store_->Scan(1, kTable, {"b", "b1", 1})), (Strings{"b2=old"}));
  ASSERT_TRUE(store_
                  ->Commit([&](Transaction& t) {
                    t.Put(1, kTable, "b2", "new");
                    t.Put(1, kTable, "b3", "new");
                    t.Delete(1, kTable, "b1");
                    for (const size_t limit : {size_t{1}, size_t{2}, size_t{3}, size_t{10}}) {
                      const Strings all = {"b2=new", "b3=new", "b4=old"};
                      const size_t n = std::min(limit, all.size());
                      EXPECT_EQ(keys(t.Scan(1, kTable, {"b", "", limit})),
                                Strings(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n)));
                    }
                    EXPECT_EQ(keys(t.Scan(1, kTable, {"b", "b3", 10})), (Strings{"b4=old"}));
                    return absl::OkStatus();
                  })
                  .ok());
}

TEST_F(LogStoreTest, ErasingATenantLeavesItsNeighboursAlone) {
  Open();
  for (const uint32_t tenant : {1u, 2u, 3u}) {
    ASSERT_TRUE(Append({tenant, 1}, {"a"}).ok());
    ASSERT_TRUE(store_
                    ->Commit([&](Transaction& t) {
                      t.Put(tenant, kTable, "k", "v");
                      return absl::OkStatus();
                    })
                    .ok());
  }
  ASSERT_TRUE(store_
                  ->Commit([](Transaction& t) {
                    t.EraseTenant(2);
                    EXPECT_EQ(*t.Get(2, kTable, "k"), std::nullopt);
                    EXPECT_TRUE(t.Scan(2, kTable, {"", "", 10})->empty());
                    return absl::OkStatus();
                  })
                  .ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(*store_->GetBounds({2, 1}), (Bounds{0, 0}));
    EXPECT_EQ(*store_->Get(2, kTable, "k"), std::nullopt);
    for (const uint32_t tenant : {1u, 3u}) {
      EXPECT_EQ(Texts(store_->Read({tenant, 1}, 0, 10)), (Strings{"a"}));
      EXPECT_EQ(*store_->Get(tenant, kTable, "k"), "v");
    }
    Open();
  }
}

TEST_F(LogStoreTest, LiveReadersDoNotTouchTheDisk) {
  Open();
  std::vector<uint64_t> ends;
  const auto watcher = store_->Watch(kLog, [&](uint64_t end) { ends.push_back(end); });
  ASSERT_TRUE(Append(kLog, {"a", "b"}).ok());
  ASSERT_TRUE(Append({1, 2}, {"x"}).ok());
  EXPECT_EQ(Texts(store_->Read(kLog, 0, 100)), (Strings{"a", "b"}));
  EXPECT_EQ(ends, (std::vector<uint64_t>{2}));
  EXPECT_EQ(store_->GetStats().tail_misses, 0u);
}

TEST_F(LogStoreTest, AFullQueueRefuses) {
  options_.queue_bytes = 100;
  Open();
  Hold hold(*store_);
  int done = 0;
  const auto task = [&](size_t bytes) {
    return MakeTask(
        bytes, [](Transaction&) { return absl::OkStatus(); }, [&](const absl::Status&) { ++done; });
  };
  EXPECT_TRUE(store_->Submit(task(200)).ok());  // larger than the queue, but alone
  EXPECT_EQ(store_->Submit(task(1)).code(), absl::StatusCode::kResourceExhausted);
  hold.Release();
  ASSERT_TRUE(store_->Commit([](Transaction&) { return absl::OkStatus(); }).ok() || done <= 1);
  store_.reset();  // commits what was taken
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace keystead::storage
