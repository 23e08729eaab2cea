#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "core/base/limits.h"
#include "tests/unit/transport/record_log_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;

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
