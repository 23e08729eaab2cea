// What a record log keeps of contradicting and late groups, for whom, and what looking them up may cost.
#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "tests/unit/transport/record_log_fixture.h"

namespace keystead::testing {
namespace {

class RecordLogVariantsTest : public RecordLogTest {};

TEST_F(RecordLogVariantsTest, JunkDoesNotPreemptAGenuineRecordAndIsBounded) {
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
TEST_F(RecordLogVariantsTest, EveryPublisherHasSlotsOfItsOwn) {
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

TEST_F(RecordLogVariantsTest, AllPublishersTogetherAreBounded) {
  for (int courier = 0; courier < 200; ++courier) {
    ComesFrom(courier);
    for (int i = 0; i < 5; ++i)
      Append(TestHeader(1), {{7, std::to_string(courier) + " junk " + std::to_string(i)}});
  }
  EXPECT_EQ(Records(1).size(), limits::kMaxVariantsPerPlace);
}

// Its publisher has a slot even where others have filled all that is shared.
TEST_F(RecordLogVariantsTest, AFullPlaceStillHasASlotForWhoHasNone) {
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
TEST_F(RecordLogVariantsTest, LateRecordsAreJudgedWithoutReadingThem) {
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

TEST_F(RecordLogVariantsTest, ALookUpReadsTheGroupAskedForAndNoOther) {
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

TEST_F(RecordLogVariantsTest, ATaskThatLooksUpTooMuchStopsAndAnotherGoesOn) {
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

TEST_F(RecordLogVariantsTest, WhatAStreamWithManyGapsHasForgottenIsLookedUp) {
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

TEST_F(RecordLogVariantsTest, StreamsInMemoryAreBounded) {
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
TEST_F(RecordLogVariantsTest, RefusedRangesOfAGroupAreFew) {
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

TEST_F(RecordLogVariantsTest, NobodyWritesIntoAnotherSendersPlaces) {
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

}  // namespace
}  // namespace keystead::testing
