// Every record that is stored is found by its place, wherever in the log it lies, and looking changes
// nothing.
#include "core/transport/held_records.h"

#include <gmock/gmock.h>

#include "core/base/limits.h"
#include "core/transport/held_request.h"
#include "tests/unit/transport/record_log_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A store in which one entry does not open, as after somebody has changed it.
class DamagedStore final : public storage::LogStore {
 public:
  DamagedStore(storage::LogStore* inner, uint64_t offset) : inner_(inner), offset_(offset) {}
  absl::Status Submit(std::unique_ptr<storage::Task> task) override {
    return inner_->Submit(std::move(task));
  }
  absl::StatusOr<std::vector<storage::Entry>> Read(storage::LogRef log, uint64_t from,
                                                   size_t max_bytes) const override {
    auto read = inner_->Read(log, from, max_bytes);
    if (!read.ok()) return read;
    for (const storage::Entry& entry : *read) {
      if (entry.offset == offset_) return absl::DataLossError("this entry does not open");
    }
    return read;
  }
  absl::StatusOr<storage::Bounds> GetBounds(storage::LogRef log) const override {
    return inner_->GetBounds(log);
  }
  std::unique_ptr<storage::Watcher> Watch(storage::LogRef log,
                                          std::function<void(uint64_t)> on_commit) override {
    return inner_->Watch(log, std::move(on_commit));
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

 private:
  storage::LogStore* const inner_;
  const uint64_t offset_;
};

class HeldRecordsTest : public RecordLogTest {
 protected:
  static TopicPlace Where(int device) { return {kTenant, TestInstantiation(), TestTopic(device)}; }
  static PlaceInTopic Place(int device, uint64_t sequence, int stream = 0) {
    const GroupHeader header = TestHeader(device, stream);
    return {header.sender, header.epoch, header.stream, sequence};
  }
  std::vector<StoredEntry> At(int device, const std::vector<PlaceInTopic>& places) {
    const auto found = HeldRecords(*log_).At(Where(device), places);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.value_or(std::vector<StoredEntry>());
  }
  static std::vector<uint64_t> Offsets(const std::vector<StoredEntry>& entries) {
    std::vector<uint64_t> out;
    for (const StoredEntry& entry : entries) out.push_back(entry.offset);
    return out;
  }
};

TEST_F(HeldRecordsTest, ARecordIsFoundBeforeAndBehindTheLastCheckpointAndAfterARestart) {
  for (uint64_t n = 0; n < 10; ++n) {  // a checkpoint every four groups
    clock_.Advance(absl::Seconds(1));
    Append(TestHeader(1), {{3 * n, "a"}, {3 * n + 1, "b"}});
  }
  for (int restart = 0; restart < 2; ++restart) {
    for (uint64_t n = 0; n < 10; ++n) {
      const auto found = At(1, {Place(1, 3 * n + 1)});
      ASSERT_THAT(Offsets(found), ElementsAre(n));
      EXPECT_EQ(*found[0].group, *TestGroup(TestHeader(1), {{3 * n, "a"}, {3 * n + 1, "b"}}));
      EXPECT_THAT(At(1, {Place(1, 3 * n + 2)}), IsEmpty()) << "there is a gap at that sequence";
    }
    Open();
  }
  EXPECT_THAT(At(1, {Place(1, 30)}), IsEmpty());
  EXPECT_THAT(At(1, {Place(1, UINT64_MAX)}), IsEmpty());
  EXPECT_THAT(At(1, {Place(1, 0, /*stream=*/9)}), IsEmpty());
  EXPECT_THAT(At(2, {Place(2, 0)}), IsEmpty()) << "nobody has opened that topic";
  EXPECT_THAT(Offsets(At(1, {Place(1, 27), Place(1, 0), Place(1, 1)})), ElementsAre(0, 9))
      << "each group once";
}

TEST_F(HeldRecordsTest, TheTimeOfStoringIsAsCloseAsCheckpointsTellIt) {
  clock_.Advance(absl::Hours(1000));
  const absl::Time start = clock_.Now();
  for (uint64_t n = 0; n < 6; ++n) {
    clock_.Advance(absl::Seconds(1));
    Append(TestHeader(1), {{n, "a"}});
  }
  const auto found = At(1, {Place(1, 0), Place(1, 5)});
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].not_after, start + absl::Seconds(4));
  EXPECT_EQ(found[1].not_before, start + absl::Seconds(4));
  EXPECT_EQ(found[1].not_after, absl::InfiniteFuture());
}

TEST_F(HeldRecordsTest, VariantsAndLateRecordsAreFoundAsWell) {
  for (uint64_t n = 0; n < 6; ++n) Append(TestHeader(1), {{10 + n, "genuine"}});
  ComesFrom(2);
  Append(TestHeader(1), {{11, "another"}});
  Append(TestHeader(1), {{3, "late"}});
  for (uint64_t n = 0; n < 9; ++n) Append(TestHeader(2), {{n, "of another topic"}});
  for (uint64_t n = 6; n < 12; ++n) Append(TestHeader(1), {{10 + n, "genuine"}});
  const auto at = At(1, {Place(1, 11)});
  ASSERT_THAT(Offsets(at), ElementsAre(1, 6));
  EXPECT_EQ(*at[1].group, *TestGroup(TestHeader(1), {{11, "another"}}));
  EXPECT_THAT(Offsets(At(1, {Place(1, 3)})), ElementsAre(7));
}

TEST_F(HeldRecordsTest, WhatRetentionDiscardedIsNotThereAndTheNewestAre) {
  for (uint64_t n = 0; n < 12; ++n) Append(TestHeader(1), {{n, "a"}});
  const storage::LogRef ref = (*log_->FindTopic(Where(1)))->ref;
  OnWriter(
      [&](storage::Transaction& t, RecordLogChanges& changes) { return log_->TrimTo(t, ref, 9, changes); });
  const uint64_t first = store_->GetBounds(ref)->first;
  ASSERT_GT(first, 4u);
  EXPECT_THAT(At(1, {Place(1, 2)}), IsEmpty());
  EXPECT_THAT(Offsets(*HeldRecords(*log_).Newest(Where(1), 2)), ElementsAre(10, 11));
  EXPECT_THAT(*HeldRecords(*log_).Newest(Where(1), 64), SizeIs(12 - first));
  EXPECT_THAT(*HeldRecords(*log_).Newest(Where(2), 64), IsEmpty());
}

TEST_F(HeldRecordsTest, WhatDoesNotOpenHidesNothingBesideIt) {
  for (uint64_t n = 0; n < 10; ++n) Append(TestHeader(1), {{n, "a"}});  // checkpoints before 4 and 8
  const auto seen_by = [&](uint64_t damaged, uint64_t sequence) {
    DamagedStore store(store_.get(), damaged);
    const RecordLog log(&store, options_);
    const auto found = HeldRecords(log).At(Where(1), std::vector{Place(1, sequence)});
    EXPECT_TRUE(found.ok()) << found.status();
    return found.value_or(std::vector<StoredEntry>());
  };
  EXPECT_THAT(Offsets(seen_by(9, 8)), ElementsAre(8));
  EXPECT_THAT(Offsets(seen_by(8, 9)), ElementsAre(9));
  EXPECT_THAT(Offsets(seen_by(2, 3)), ElementsAre(3));
  const auto itself = seen_by(2, 2);
  ASSERT_THAT(Offsets(itself), ElementsAre(2)) << "it lies there";
  EXPECT_EQ(itself[0].group, nullptr);
  DamagedStore store(store_.get(), 9);
  const RecordLog log(&store, options_);
  const auto newest = HeldRecords(log).Newest(Where(1), 3);
  ASSERT_TRUE(newest.ok()) << newest.status();
  ASSERT_THAT(Offsets(*newest), ElementsAre(7, 8, 9));
  EXPECT_EQ(newest->back().group, nullptr);
  EXPECT_NE(newest->front().group, nullptr);
}

TEST_F(HeldRecordsTest, ALookGoesIntoSoManyTopicsAndNoMore) {
  constexpr int kTopics = static_cast<int>(limits::kMaxHeldTopics) + 6;
  for (int device = 1; device <= kTopics; ++device) Append(TestHeader(device), {{0, "a"}});
  const HeldDemand demand{.instantiation = Where(1).instantiation, .last = 1};
  size_t told = 0;
  const absl::Status status = ForEachHeld(*log_, Where(1).tenant, demand, [&](const StoredEntry&) {
    ++told;
    return true;
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(told, limits::kMaxHeldTopics);
}

TEST_F(HeldRecordsTest, MoreThanAMessageCarriesIsNotRead) {
  constexpr uint64_t kGroups = 200;
  constexpr size_t kBytes = 60'000;
  constexpr size_t kAtMost = limits::kMaxMessageBytes / kBytes + 1;
  std::vector<PlaceInTopic> all;
  for (uint64_t n = 0; n < kGroups; ++n) {
    Append(TestHeader(1), {{n, std::string(kBytes, 'x')}});
    all.push_back(Place(1, n));
  }
  EXPECT_THAT(At(1, all), SizeIs(::testing::AllOf(::testing::Ge(kAtMost - 1), ::testing::Le(kAtMost))));
  const auto newest = HeldRecords(*log_).Newest(Where(1), kGroups);
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_THAT(*newest, SizeIs(::testing::Le(kAtMost)));
  EXPECT_EQ(newest->back().offset, kGroups - 1);
}

TEST_F(HeldRecordsTest, LookingWritesNothing) {
  for (uint64_t n = 0; n < 9; ++n) Append(TestHeader(1), {{n, "a"}});
  const storage::Stats before = store_->GetStats();
  const RecordLog::Stats log_before = log_->GetStats();
  for (uint64_t n = 0; n < 9; ++n) At(1, {Place(1, n)});
  At(2, {Place(2, 0)});
  const storage::Stats after = store_->GetStats();
  EXPECT_EQ(after.commits, before.commits);
  EXPECT_EQ(after.entries, before.entries);
  EXPECT_EQ(log_->GetStats().loads, log_before.loads);
  EXPECT_EQ(log_->GetStats().look_ups, log_before.look_ups);
  EXPECT_FALSE((*log_->FindTopic(Where(2))).has_value()) << "asking made a log";
}

}  // namespace
}  // namespace keystead::testing
