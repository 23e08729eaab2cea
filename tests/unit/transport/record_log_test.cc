#include "core/transport/record_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "core/base/limits.h"
#include "core/storage/fault_injection_fs.h"
#include "core/transport/record_log_rows.h"
#include "tests/unit/transport/test_groups.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;

constexpr uint32_t kTenant = 5;

class RecordLogTest : public ::testing::Test {
 protected:
  RecordLogTest() {
    path_ = std::filesystem::path(::testing::TempDir()) /
            ("record_log_" + RandomSource::System().NewId<LogId>().ToHex());
    options_.checkpoint_groups = 4;
    options_.clock = &clock_;
    Open();
  }
  ~RecordLogTest() override {
    log_.reset();
    store_.reset();
    std::filesystem::remove_all(path_);
  }

  void Open() {
    log_.reset();
    store_.reset();
    storage::Options options;
    options.path = path_;
    options.format_name = "record-log-test";
    options.file_system = faults_;
    auto store = storage::LogStore::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    log_ = std::make_unique<RecordLog>(store_.get(), options_);
  }

  // All groups in one task.
  absl::StatusOr<std::vector<AppendOutcome>> AppendAll(const std::vector<Payload>& groups,
                                                       absl::Status after = absl::OkStatus()) {
    std::vector<AppendOutcome> outcomes;
    RecordLogChanges changes;
    absl::Mutex mutex;
    bool done = false;
    absl::Status result;
    const absl::Status submitted = store_->Submit(storage::MakeTask(
        1000,
        [&](storage::Transaction& transaction) -> absl::Status {
          absl::Status status;
          for (const Payload& group : groups) {
            GroupHeaderCache cache;
            auto view = GroupView::Parse(*group, cache);
            if (!view.ok()) return view.status();
            auto outcome = log_->Append(transaction, kTenant, *view, group, source_, changes);
            status = outcome.status();
            if (!status.ok()) break;
            outcomes.push_back(*std::move(outcome));
          }
          if (status.ok()) status = after;
          if (!status.ok()) log_->Finish(changes, status);
          return status;
        },
        [&](const absl::Status& status) {
          log_->Finish(changes, status);
          absl::MutexLock lock(&mutex);
          result = status;
          done = true;
        }));
    if (!submitted.ok()) return submitted;
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&done));
    if (!result.ok()) return result;
    return outcomes;
  }
  AppendOutcome Append(const Payload& group) {
    auto outcomes = AppendAll({group});
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    return outcomes.ok() ? outcomes->front() : AppendOutcome();
  }
  AppendOutcome Append(const GroupHeader& header, const TestRecords& records) {
    return Append(TestGroup(header, records));
  }

  // Runs on the writer's thread.
  void OnWriter(std::function<absl::Status(storage::Transaction&, RecordLogChanges&)> what) {
    RecordLogChanges changes;
    const absl::Status status = store_->Commit([&](storage::Transaction& t) {
      const absl::Status done = what(t, changes);
      log_->Finish(changes, done);  // nobody else writes in these tests
      return done;
    });
    EXPECT_TRUE(status.ok()) << status;
  }

  // What the log of a device's topic holds: device's records in order of the log.
  std::vector<std::pair<uint64_t, std::string>> Records(int device) {
    std::vector<std::pair<uint64_t, std::string>> out;
    const auto topic = log_->FindTopic({kTenant, TestInstantiation(), TestTopic(device)});
    if (!topic.ok() || !topic->has_value()) return out;
    const storage::Bounds bounds = *store_->GetBounds((*topic)->ref);
    for (uint64_t next = bounds.first; next < bounds.end;) {
      const auto entries = store_->Read((*topic)->ref, next, 1 << 20);
      EXPECT_TRUE(entries.ok()) << entries.status();
      if (!entries.ok()) break;
      for (const storage::Entry& entry : *entries) {
        GroupHeaderCache cache;
        const auto view = GroupView::Parse(*entry.bytes, cache);
        EXPECT_TRUE(view.ok());
        for (const RecordView& record : view->records())
          out.emplace_back(record.sequence, ToString(record.cose));
      }
      next = entries->back().offset + 1;
    }
    return out;
  }

  // The courier with that number sends what comes next.
  void ComesFrom(int courier) {
    source_ = RecordSource::Of("spiffe://acme.keystead.example/gateway/" + std::to_string(courier));
  }

  RecordSource source_;
  std::filesystem::path path_;
  ManualClock clock_;
  RecordLog::Options options_;
  std::shared_ptr<storage::FaultInjectionFs> faults_ = std::make_shared<storage::FaultInjectionFs>();
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<RecordLog> log_;
};

TEST_F(RecordLogTest, InOrderGroupsAreStoredAsTheyCame) {
  const Payload group = TestGroup(TestHeader(1), {{0, "a"}, {1, "b"}});
  const AppendOutcome outcome = Append(group);
  EXPECT_EQ(outcome.offset, 0u);
  EXPECT_EQ(outcome.stored, group);
  EXPECT_EQ(outcome.new_records, 2u);
  EXPECT_EQ(Append(TestHeader(1), {{2, "c"}}).offset, 1u);
  EXPECT_EQ(log_->GetStats().look_ups, 0u);
  EXPECT_THAT(Records(1), ElementsAre(std::pair(0, "a"), std::pair(1, "b"), std::pair(2, "c")));
}

TEST_F(RecordLogTest, DuplicatesAreNotStoredAgain) {
  Append(TestHeader(1), {{0, "a"}, {1, "b"}});
  Append(TestHeader(1), {{2, "c"}});
  const AppendOutcome outcome = Append(TestHeader(1), {{0, "a"}, {1, "b"}});
  EXPECT_FALSE(outcome.offset.has_value());
  EXPECT_EQ(outcome.duplicates, 2u);
  EXPECT_TRUE(outcome.refused.empty());
  EXPECT_EQ(Records(1).size(), 3u);
}

TEST_F(RecordLogTest, DuplicatesWithinOneTaskAreFound) {
  const Payload group = TestGroup(TestHeader(1), {{0, "a"}});
  const auto outcomes = AppendAll({group, TestGroup(TestHeader(1), {{1, "b"}}), group});
  ASSERT_TRUE(outcomes.ok());
  EXPECT_EQ(outcomes->at(2).duplicates, 1u);
  EXPECT_EQ(Records(1).size(), 2u);
}

TEST_F(RecordLogTest, OfAPartlyKnownGroupOnlyTheNewIsStored) {
  Append(TestHeader(1), {{0, "a"}, {2, "c"}});
  const AppendOutcome outcome = Append(TestHeader(1), {{0, "a"}, {1, "b"}, {2, "c"}, {3, "d"}});
  EXPECT_EQ(outcome.duplicates, 2u);
  EXPECT_EQ(outcome.new_records, 2u);
  EXPECT_EQ(outcome.variants, 0u);
  EXPECT_THAT(Records(1),
              ElementsAre(std::pair(0, "a"), std::pair(2, "c"), std::pair(1, "b"), std::pair(3, "d")));
  EXPECT_EQ(Append(TestHeader(1), {{1, "b"}, {3, "d"}}).duplicates, 2u);
}

TEST_F(RecordLogTest, TheLargestGroupCanBePartlyKnown) {
  GroupBuilder builder(TestHeader(1));
  Append(TestHeader(1), {{0, "a"}});
  ASSERT_TRUE(builder.Append(0, AsBytes("a")).ok());
  uint64_t sequence = 1;
  for (size_t size = limits::kMaxRecordBytes; size > 0;) {
    if (builder.Append(sequence, AsBytes(std::string(size, 'x'))).ok()) {
      ++sequence;
    } else {
      size = size > 64 ? size / 2 : size - 1;
    }
  }
  ASSERT_GE(builder.bytes(), limits::kMaxGroupBytes - 8);
  const AppendOutcome outcome = Append(builder.Take());
  EXPECT_EQ(outcome.duplicates, 1u);
  EXPECT_EQ(outcome.new_records, sequence - 1);
}

TEST_F(RecordLogTest, JunkDoesNotPreemptAGenuineRecordAndIsBounded) {
  for (size_t i = 0; i < limits::kMaxVariantsPerSequence; ++i) {
    const AppendOutcome outcome = Append(TestHeader(1), {{5, "variant " + std::to_string(i)}});
    EXPECT_TRUE(outcome.offset.has_value());
    EXPECT_EQ(outcome.variants, i == 0 ? 0u : 1u);
  }
  // One more is refused alone; what stands beside it in the group is stored.
  const AppendOutcome outcome = Append(TestHeader(1), {{4, "x"}, {5, "one more"}, {6, "y"}});
  ASSERT_EQ(outcome.refused.size(), 1u);
  EXPECT_EQ(outcome.refused[0].first_sequence, 5u);
  EXPECT_EQ(outcome.refused[0].last_sequence, 5u);
  EXPECT_EQ(outcome.new_records, 2u);
  for (size_t i = 0; i < limits::kMaxVariantsPerSequence; ++i) {
    EXPECT_EQ(Append(TestHeader(1), {{5, "variant " + std::to_string(i)}}).duplicates, 1u) << i;
  }
  EXPECT_EQ(Records(1).size(), limits::kMaxVariantsPerSequence + 2);
}

// One courier's junk at the places that come next costs nobody else a slot, also after a restart.
TEST_F(RecordLogTest, EveryPublisherHasSlotsOfItsOwn) {
  for (uint64_t sequence = 0; sequence < 3; ++sequence) {
    ComesFrom(1);
    for (int i = 0; i < 6; ++i) Append(TestHeader(1), {{sequence, "junk " + std::to_string(i)}});
    if (sequence == 1) Open();
    EXPECT_EQ(Append(TestHeader(1), {{sequence, "more junk"}}).refused.size(), 1u);
    ComesFrom(2);
    const AppendOutcome genuine = Append(TestHeader(1), {{sequence, "genuine"}});
    EXPECT_EQ(genuine.new_records, 1u) << sequence;
    EXPECT_EQ(genuine.variants, 1u) << sequence;
    EXPECT_EQ(Append(TestHeader(1), {{sequence, "genuine"}}).duplicates, 1u);
  }
  EXPECT_EQ(Records(1).size(), 3 * (limits::kMaxVariantsPerSequence + 1));
}

TEST_F(RecordLogTest, AllPublishersTogetherAreBounded) {
  for (int courier = 0; courier < 200; ++courier) {
    ComesFrom(courier);
    for (int i = 0; i < 5; ++i)
      Append(TestHeader(1), {{7, std::to_string(courier) + " junk " + std::to_string(i)}});
  }
  EXPECT_EQ(Records(1).size(), limits::kMaxVariantsPerPlace);
}

// Its publisher has a slot even where others have filled all that is shared.
TEST_F(RecordLogTest, AFullPlaceStillHasASlotForWhoHasNone) {
  for (int courier = 1; courier < 30; ++courier) {
    ComesFrom(courier);
    for (int i = 0; i < 4; ++i)
      Append(TestHeader(1), {{7, std::to_string(courier) + " junk " + std::to_string(i)}});
  }
  EXPECT_GE(Records(1).size(), limits::kSharedVariantsPerPlace);
  ComesFrom(100);
  EXPECT_EQ(Append(TestHeader(1), {{7, "genuine"}}).new_records, 1u);
  EXPECT_EQ(Append(TestHeader(1), {{7, "second"}}).refused.size(), 1u);
}

// A member may put variants at a thousand places, each in a group of its own, and then ask about all of them
// at once, again and again.
TEST_F(RecordLogTest, LateRecordsAreJudgedWithoutReadingThem) {
  constexpr uint64_t kPlaces = 300;
  Append(TestHeader(1), {{5000, "far"}});
  std::vector<Payload> groups;
  for (uint64_t sequence = 0; sequence < kPlaces; ++sequence) {
    for (size_t i = 0; i < limits::kMaxVariantsPerSequence; ++i)
      groups.push_back(TestGroup(TestHeader(1), {{sequence, std::string(2000, static_cast<char>('a' + i))}}));
  }
  ASSERT_TRUE(AppendAll(groups).ok());
  Open();
  TestRecords fifth;
  for (uint64_t sequence = 0; sequence < kPlaces; ++sequence) fifth.emplace_back(sequence, "fifth");
  const AppendOutcome outcome = Append(TestHeader(1), fifth);
  ASSERT_EQ(outcome.refused.size(), 1u);
  EXPECT_EQ(outcome.refused[0].last_sequence, kPlaces - 1);
  EXPECT_EQ(log_->GetStats().read_bytes, 0u);
  EXPECT_LE(log_->GetStats().reads, 20u);
}

TEST_F(RecordLogTest, ALookUpReadsTheGroupAskedForAndNoOther) {
  options_.checkpoint_groups = 64;
  Open();
  for (uint64_t i = 0; i < 100; ++i) Append(TestHeader(1), {{i, std::string(10'000, 'x')}});
  Open();
  EXPECT_EQ(Append(TestHeader(1), {{3, std::string(10'000, 'x')}}).duplicates, 1u);   // behind the checkpoint
  EXPECT_EQ(Append(TestHeader(1), {{90, std::string(10'000, 'x')}}).duplicates, 1u);  // after it
  EXPECT_LE(log_->GetStats().read_bytes, 21'000u);
  EXPECT_LE(log_->GetStats().reads, 4u);
  // Sent again it costs nothing.
  EXPECT_EQ(Append(TestHeader(1), {{90, std::string(10'000, 'x')}}).duplicates, 1u);
  EXPECT_LE(log_->GetStats().read_bytes, 21'000u);
}

TEST_F(RecordLogTest, ATaskThatLooksUpTooMuchStopsAndAnotherGoesOn) {
  options_.max_reads_per_task = 10;
  Open();
  TestRecords all;
  for (uint64_t i = 0; i < 40; ++i) {
    Append(TestHeader(1), {{i, "x"}});
    all.emplace_back(i, "x");
  }
  Open();
  const uint64_t before = log_->GetStats().reads;
  EXPECT_EQ(AppendAll({TestGroup(TestHeader(1), all)}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(log_->GetStats().reads - before, 10u);
  int tries = 1;
  absl::StatusOr<std::vector<AppendOutcome>> again;
  do {
    again = AppendAll({TestGroup(TestHeader(1), all)});
  } while (!again.ok() && ++tries < 100);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->front().duplicates, 40u);
  EXPECT_LE(tries, 20);
}

TEST_F(RecordLogTest, WhatAStreamWithManyGapsHasForgottenIsLookedUp) {
  constexpr uint64_t kEnd = 8 * kMaxIntervals;
  for (uint64_t sequence = 0; sequence < kEnd; sequence += 2) Append(TestHeader(1), {{sequence, "x"}});
  for (const bool restarted : {false, true}) {
    if (restarted) Open();
    for (uint64_t sequence = 0; sequence < kEnd; sequence += 20)
      EXPECT_EQ(Append(TestHeader(1), {{sequence, "x"}}).duplicates, 1u) << sequence;
  }
  EXPECT_EQ(Append(TestHeader(1), {{3, "late"}}).new_records, 1u);
  EXPECT_EQ(Append(TestHeader(1), {{3, "late"}}).duplicates, 1u);
  for (size_t i = 1; i < limits::kMaxVariantsPerSequence; ++i)
    EXPECT_EQ(Append(TestHeader(1), {{3, "variant " + std::to_string(i)}}).new_records, 1u);
  EXPECT_EQ(Append(TestHeader(1), {{3, "one more"}}).refused.size(), 1u);
}

TEST_F(RecordLogTest, StreamsInMemoryAreBounded) {
  options_.max_streams_per_log = 8;
  options_.max_stream_bytes = 20'000;
  Open();
  // Streams with as many gaps as are remembered, first in one log and then in many.
  const auto holes = [&](int device, int stream) {
    TestRecords records;
    for (uint64_t i = 0; i < 4 * kMaxIntervals; ++i) records.emplace_back(2 * i, "x");
    return Append(TestHeader(device, stream), records);
  };
  for (int stream = 0; stream < 60; ++stream) EXPECT_EQ(holes(1, stream).new_records, 4 * kMaxIntervals);
  for (int stream = 0; stream < 60; ++stream) EXPECT_EQ(holes(1, stream).duplicates, 4 * kMaxIntervals);
  EXPECT_LE(log_->GetStats().stream_bytes, 40'000u);
  for (int device = 2; device < 60; ++device) EXPECT_EQ(holes(device, 0).new_records, 4 * kMaxIntervals);
  EXPECT_LE(log_->GetStats().stream_bytes, 40'000u);
  for (int device = 2; device < 60; ++device) EXPECT_EQ(holes(device, 0).duplicates, 4 * kMaxIntervals);
}

// What a publisher is to be told stays in proportion to what it sent.
TEST_F(RecordLogTest, RefusedRangesOfAGroupAreFew) {
  for (size_t i = 0; i < limits::kMaxVariantsPerSequence; ++i) {
    TestRecords records;
    for (uint64_t s = 0; s < 400; s += 2) records.emplace_back(s, "variant " + std::to_string(i));
    Append(TestHeader(1), records);
  }
  TestRecords records;
  for (uint64_t s = 0; s < 400; ++s) records.emplace_back(s, "fifth");
  const AppendOutcome outcome = Append(TestHeader(1), records);
  ASSERT_EQ(outcome.refused.size(), 33u);
  EXPECT_EQ(outcome.refused.back().last_sequence, 399u);
  EXPECT_EQ(outcome.new_records, 32u);  // what stood between; the rest was refused with them
}

TEST_F(RecordLogTest, NobodyWritesIntoAnotherSendersPlaces) {
  GroupHeader other = TestHeader(1);
  other.sender = NumberedId<MemberId>(99);
  GroupHeader epoch = TestHeader(1);
  epoch.epoch = 4;
  for (size_t i = 0; i < limits::kMaxVariantsPerSequence; ++i) Append(other, {{0, std::to_string(i)}});
  const AppendOutcome genuine = Append(TestHeader(1), {{0, "genuine"}});
  EXPECT_TRUE(genuine.offset.has_value());
  EXPECT_EQ(genuine.variants, 0u);
  EXPECT_EQ(Append(epoch, {{0, "genuine"}}).new_records, 1u);
  EXPECT_EQ(Append(TestHeader(1, 1), {{0, "genuine"}}).new_records, 1u);
}

TEST_F(RecordLogTest, AGroupThatReachesFarAheadDoesNotBlockTheRest) {
  Append(TestHeader(1), {{uint64_t{1} << 62, "far"}});
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(Append(TestHeader(1), {{i, "x"}}).new_records, 1u);
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(Append(TestHeader(1), {{i, "x"}}).duplicates, 1u) << i;
  Open();
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(Append(TestHeader(1), {{i, "x"}}).duplicates, 1u) << i;
}

TEST_F(RecordLogTest, AFailedCommitLeavesNothingBehind) {
  Append(TestHeader(1), {{0, "a"}});
  faults_->FailSyncs(true);
  EXPECT_FALSE(
      AppendAll({TestGroup(TestHeader(1), {{1, "b"}}), TestGroup(TestHeader(2), {{0, "new topic"}})}).ok());
  faults_->FailSyncs(false);
  // The store mends itself within a second; nothing was remembered as stored.
  absl::StatusOr<std::vector<AppendOutcome>> again;
  for (int i = 0; i < 100 && !(i > 0 && again.ok()); ++i) {
    again = AppendAll({TestGroup(TestHeader(1), {{1, "b"}}), TestGroup(TestHeader(2), {{0, "new topic"}})});
    if (!again.ok()) absl::SleepFor(absl::Milliseconds(50));
  }
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->at(0).new_records, 1u);
  EXPECT_EQ(again->at(1).new_records, 1u);
  EXPECT_EQ(Records(1).size(), 2u);
  EXPECT_EQ(Records(2).size(), 1u);
}

TEST_F(RecordLogTest, AFailedTaskLeavesNothingBehind) {
  const std::vector<Payload> groups = {TestGroup(TestHeader(1), {{0, "a"}}),
                                       TestGroup(TestHeader(2), {{0, "a"}})};
  EXPECT_EQ(AppendAll(groups, absl::UnavailableError("hook")).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Records(1).empty());
  const auto again = AppendAll(groups);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->at(0).new_records, 1u);
  EXPECT_EQ(again->at(1).new_records, 1u);
  EXPECT_EQ(again->at(0).log.ref.log + 1, again->at(1).log.ref.log);
}

TEST_F(RecordLogTest, LogIdsAndNumbersSurviveARestart) {
  const TopicLog first = Append(TestHeader(1), {{0, "a"}}).log;
  const TopicLog second = Append(TestHeader(2), {{0, "a"}}).log;
  EXPECT_NE(first.ref, second.ref);
  EXPECT_NE(first.id, second.id);
  Open();
  const auto found = log_->FindTopic({kTenant, TestInstantiation(), TestTopic(1)});
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->id, first.id);
  EXPECT_EQ(Append(TestHeader(1), {{1, "b"}}).log.ref, first.ref);
  const auto topics = log_->TopicsOf(kTenant, TestInstantiation());
  ASSERT_TRUE(topics.ok());
  EXPECT_EQ(topics->size(), 2u);
  EXPECT_EQ(log_->Logs(kTenant, std::nullopt, 10)->size(), 2u);
  EXPECT_EQ(log_->Logs(kTenant, log_->Logs(kTenant, std::nullopt, 1)->at(0).key, 10)->size(), 1u);
}

TEST_F(RecordLogTest, RetentionKeepsAboutTheBytesAsked) {
  const std::string kilobyte(1000, 'x');
  TopicLog log;
  for (uint64_t i = 0; i < 100; ++i) log = Append(TestHeader(1), {{i, kilobyte}}).log;
  OnWriter([&](storage::Transaction& t, RecordLogChanges& changes) -> absl::Status {
    const auto before = log_->BytesOf(t, log.ref, changes);
    EXPECT_GT(*before, 100'000u);
    return log_->Trim(t, log.ref, {.max_bytes = 30'000}, changes).status();
  });
  const storage::Bounds bounds = *store_->GetBounds(log.ref);
  EXPECT_GE(bounds.end - bounds.first, 23u);
  EXPECT_LE(bounds.end - bounds.first, 30u);
  Open();
  OnWriter([&](storage::Transaction& t, RecordLogChanges& changes) -> absl::Status {
    const auto bytes = log_->BytesOf(t, log.ref, changes);
    EXPECT_LE(*bytes, 30'000u);
    EXPECT_GT(*bytes, 23'000u);
    return log_->TrimTo(t, log.ref, 98, changes);
  });
  EXPECT_EQ(store_->GetBounds(log.ref)->first, 98u);
  OnWriter([&](storage::Transaction& t, RecordLogChanges& changes) -> absl::Status {
    EXPECT_TRUE(log_->TrimTo(t, log.ref, 1000, changes).ok());
    EXPECT_EQ(*log_->BytesOf(t, log.ref, changes), 0u);
    return absl::OkStatus();
  });
  // What is gone is not known any more: sent again it is kept again.
  EXPECT_EQ(Append(TestHeader(1), {{3, kilobyte}}).new_records, 1u);
  EXPECT_EQ(Append(TestHeader(1), {{3, kilobyte}}).duplicates, 1u);
}

TEST_F(RecordLogTest, RetentionByAge) {
  TopicLog log;
  for (uint64_t i = 0; i < 8; ++i) log = Append(TestHeader(1), {{i, "old"}}).log;
  clock_.Advance(absl::Hours(2));
  for (uint64_t i = 8; i < 16; ++i) log = Append(TestHeader(1), {{i, "young"}}).log;
  OnWriter([&](storage::Transaction& t, RecordLogChanges& changes) -> absl::Status {
    return log_->Trim(t, log.ref, {.max_age = absl::Hours(1)}, changes).status();
  });
  EXPECT_EQ(store_->GetBounds(log.ref)->first, 8u);
}

// Power fails at random points. What was acknowledged is there, and what is sent again comes once.
TEST_F(RecordLogTest, SurvivesPowerFailures) {
  SeededRandom lost(7);
  std::mt19937 random(7);
  uint64_t sent = 0;
  uint64_t acknowledged = 0;
  for (int crash = 0; crash < 15; ++crash) {
    faults_->PowerOffAfter(1 + random() % 40);
    for (int i = 0; i < 60; ++i) {
      std::vector<Payload> groups;
      for (uint32_t g = 0; g <= random() % 5; ++g) {
        groups.push_back(TestGroup(TestHeader(1), {{sent, "a"}, {sent + 1, "b"}}));
        sent += 2;
      }
      if (!AppendAll(groups).ok()) break;
      acknowledged = sent;
    }
    log_.reset();
    store_.reset();
    faults_->DropUnsynced(lost);
    Open();
    ASSERT_NE(store_, nullptr);
    ASSERT_GE(Records(1).size(), acknowledged) << "after crash " << crash;
    // The publisher sends again from somewhere before what it knows.
    sent = acknowledged >= 40 ? acknowledged - 40 : 0;
    for (; sent < acknowledged; sent += 2) Append(TestHeader(1), {{sent, "a"}, {sent + 1, "b"}});
  }
  for (sent = 0; sent < acknowledged; sent += 2) Append(TestHeader(1), {{sent, "a"}, {sent + 1, "b"}});
  const auto records = Records(1);
  EXPECT_GT(acknowledged, 100u);
  std::set<uint64_t> once;
  for (const auto& [sequence, bytes] : records) EXPECT_TRUE(once.insert(sequence).second) << sequence;
  EXPECT_GE(once.size(), acknowledged);
}

// Against a model: random groups of several streams, in order, late, repeated, as variants, with restarts and
// with a memory that holds hardly anything. In the end every record that was taken is there exactly once.
TEST_F(RecordLogTest, AgreesWithAModel) {
  for (const size_t max_logs : {size_t{1}, size_t{1000}}) {
    options_.max_logs_in_memory = max_logs;
    options_.max_streams_per_log = max_logs == 1 ? 1 : 256;
    Open();
    std::mt19937 random(static_cast<unsigned>(max_logs));
    const auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    const int base = max_logs == 1 ? 10 : 20;
    std::map<int, std::multimap<std::tuple<int, uint64_t>, std::string>> model;  // device, stream, sequence
    std::map<std::pair<int, int>, uint64_t> next;
    for (int round = 0; round < 1500; ++round) {
      if (pick(100) == 0) Open();
      std::vector<Payload> groups;
      std::vector<std::pair<int, int>> whose;
      std::vector<TestRecords> contents;
      for (uint32_t g = 0; g <= pick(4); ++g) {
        const int device = base + static_cast<int>(pick(3));
        const int stream = static_cast<int>(pick(3));
        uint64_t& at = next[{device, stream}];
        uint64_t sequence = at;
        if (pick(4) == 0) sequence = pick(static_cast<uint32_t>(at) + 10);
        TestRecords records;
        for (uint32_t r = 0; r <= pick(5); ++r) {
          records.emplace_back(sequence, "bytes" + std::to_string(pick(20) == 0 ? pick(9) : 0));
          sequence += 1 + (pick(8) == 0 ? pick(3) : 0);
        }
        at = std::max(at, sequence);
        groups.push_back(TestGroup(TestHeader(device, stream), records));
        whose.emplace_back(device, stream);
        contents.push_back(records);
      }
      const auto outcomes = AppendAll(groups);
      ASSERT_TRUE(outcomes.ok()) << outcomes.status();
      for (size_t g = 0; g < groups.size(); ++g) {
        auto& known = model[whose[g].first];
        uint32_t duplicates = 0, stored = 0, refused = 0;
        for (const auto& [sequence, bytes] : contents[g]) {
          const auto place = std::tuple(whose[g].second, sequence);
          const auto [from, to] = known.equal_range(place);
          const bool is_known = std::any_of(from, to, [&](const auto& e) { return e.second == bytes; });
          if (is_known) {
            ++duplicates;
          } else if (static_cast<size_t>(std::distance(from, to)) < limits::kMaxVariantsPerSequence) {
            ++stored;
            known.emplace(place, bytes);
          } else {
            ++refused;
          }
        }
        uint64_t told_refused = 0;
        for (const RefusedRecords& r : outcomes->at(g).refused) {
          for (const auto& [sequence, bytes] : contents[g])
            told_refused += sequence >= r.first_sequence && sequence <= r.last_sequence ? 1 : 0;
        }
        ASSERT_EQ(outcomes->at(g).duplicates, duplicates) << "round " << round;
        ASSERT_EQ(outcomes->at(g).new_records, stored) << "round " << round;
        ASSERT_EQ(told_refused, refused) << "round " << round;
      }
    }
    for (const auto& [device, known] : model) EXPECT_EQ(Records(device).size(), known.size());
  }
}

}  // namespace
}  // namespace keystead::testing
