#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/unit/member/stream_sender_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAreArray;

TEST_F(StreamSenderTest, WhatIsSaidIsReadConfirmedAndEnded) {
  Start();
  Say(200);
  sender_->Stop(absl::Seconds(20));
  EXPECT_TRUE(sender_->AllDurable());
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_EQ(read->BodiesOf(kinds::kOpening).size(), 1u);
  EXPECT_EQ(read->AlarmsBut({}), 0);
  const auto last = ParseCheckpoint(AsBytes(read->BodiesOf(kinds::kCheckpoint).back()));
  ASSERT_TRUE(last.ok());
  EXPECT_TRUE(last->end);
  EXPECT_EQ(Must(store_->GetBounds(options_.journal)).first, Must(store_->GetBounds(options_.journal)).end);
  EXPECT_EQ(sender_->Send(kinds::kReadings, AsBytes("late")).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(StreamSenderTest, WhatIsSaidWhileTheJournalWritesTravelsAsOneGroup) {
  options_.gather_bytes = 64 << 10;
  Start();
  absl::Notification busy;
  absl::Notification go_on;
  ASSERT_TRUE(store_
                  ->Submit(storage::MakeTask(
                      1,
                      [&](storage::Transaction&) {
                        busy.Notify();
                        go_on.WaitForNotification();
                        return absl::OkStatus();
                      },
                      [](const absl::Status&) {}))
                  .ok());
  busy.WaitForNotification();
  Say(30);  // the first is on its way to the journal, which does not come to it
  EXPECT_EQ(sender_->GetStats().groups, 1u);
  EXPECT_FALSE(sender_->AllDurable());
  EXPECT_GT(sender_->Backlog(), 30u * 20u);
  go_on.Notify();
  // No tick, no further flush: the journal itself goes on with what has gathered.
  ASSERT_TRUE(Eventually([&] { return sender_->AllDurable(); }));
  EXPECT_EQ(sender_->GetStats().groups, 2u);
  EXPECT_EQ(ReadAll()->BodiesOf(kinds::kReadings).size(), said_.size());
}

TEST_F(StreamSenderTest, RecordsSealedBetweenFlushesTravelAsOneGroup) {
  options_.gather_bytes = 64 << 10;
  Start();
  Say(30, 20, false);
  EXPECT_EQ(sender_->GetStats().groups, 0u);
  EXPECT_FALSE(sender_->AllDurable());
  ASSERT_TRUE(sender_->Flush().ok());
  AwaitDurable();
  EXPECT_EQ(sender_->GetStats().groups, 1u);
  EXPECT_EQ(hop_.Groups(owner_.id(), topic_).size(), 1u);
}

TEST_F(StreamSenderTest, WithoutKeysNothingIsSealedAndTheSenderRecovers) {
  has_keys_ = false;
  Start();
  EXPECT_EQ(sender_->Send(kinds::kReadings, AsBytes("x")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(sender_->Tick().ok());
  has_keys_ = true;
  Say(3);
  AwaitDurable();
  EXPECT_EQ(ReadAll()->BodiesOf(kinds::kReadings).size(), 3u);
}

TEST_F(StreamSenderTest, ARefusedGroupIsTriedAgainAndArrives) {
  hop_.RefuseSender(self_);
  options_.refusal_retry = absl::Nanoseconds(1);  // doubles each time
  options_.max_refusals = 60;
  Start();
  Say(3);
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(sender_->Tick().ok());
    return sender_->GetStats().refused >= 9;
  }));
  hop_.Stop();
  hop_.RefuseNobody();
  hop_.Start();
  AwaitDurable();
  EXPECT_EQ(sender_->GetStats().lost, 0u);
  const auto read = ReadAll();
  EXPECT_EQ(read->BodiesOf(kinds::kReadings).size(), 3u);
  EXPECT_EQ(read->AlarmsBut({}), 0);
}

TEST_F(StreamSenderTest, AGroupThatIsRefusedTooOftenIsLostAndReported) {
  hop_.RefuseSender(self_);
  options_.max_refusals = 3;
  Start();
  Say(2);
  const uint64_t records = sender_->GetStats().sealed;
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(sender_->Flush().ok());
    sender_->Tick().IgnoreError();
    return sender_->GetStats().lost >= records;
  }));
  hop_.Stop();
  hop_.RefuseNobody();
  hop_.Start();
  Say(1);
  AwaitDurable();
  const auto read = ReadAll();
  const auto losses = read->BodiesOf(kinds::kLoss);
  ASSERT_FALSE(losses.empty());
  EXPECT_EQ(ParseLoss(AsBytes(losses[0]))->reason, "refused");
  EXPECT_EQ(ParseLoss(AsBytes(losses[0]))->first_sequence, 0u);
}

TEST_F(StreamSenderTest, ANewEpochEndsTheStreamUnderItsOwnCommit) {
  Start();
  Say(5);
  owner_.Commit({}, nullptr);
  ASSERT_TRUE(sender_->EndStream().ok());
  Say(5);
  AwaitDurable();
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_EQ(read->AlarmsBut({}), 0);  // no fork: the end names the commit of its own epoch
  std::set<uint64_t> epochs;
  for (const OwnerReader::Seen& seen : read->records) epochs.insert(seen.place.epoch);
  EXPECT_EQ(epochs.size(), 2u);
}

TEST_F(StreamSenderTest, NothingIsSealedUnderKeysThatEndedEvenWhenTheEndFails) {
  Start();
  Say(2);
  const StreamPlace before = sender_->Send(kinds::kReadings, AsBytes("x"))->place;
  has_keys_ = false;
  sender_->EndStream().IgnoreError();
  EXPECT_FALSE(sender_->Send(kinds::kReadings, AsBytes("x")).ok());
  has_keys_ = true;
  EXPECT_NE(sender_->Send(kinds::kReadings, AsBytes("x"))->place.stream, before.stream);
}

TEST_F(StreamSenderTest, AStreamAtItsLimitIsEndedAndTheNextGoesOn) {
  for (const uint64_t records : {5u, 6u, 7u, 10u, 64u}) {
    options_.limits.records = records;
    options_.limits.checkpoint_records = 3;
    Restart(false);
    Say(50);
    AwaitDurable();
  }
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_EQ(read->AlarmsBut({}), 0);
}

TEST_F(StreamSenderTest, AStreamAtItsByteLimitIsEndedAndTheNextGoesOn) {
  options_.limits.bytes = 12000;
  Start();
  for (int i = 0; i < 40; ++i) Say(1, i % 3 == 0 ? 6000 : 300);
  AwaitDurable();
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_EQ(read->AlarmsBut({}), 0);
  EXPECT_GT(read->BodiesOf(kinds::kOpening).size(), 5u);
}

TEST_F(StreamSenderTest, ARecordThatIsTooLongIsRefusedAndTheStreamGoesOn) {
  Start();
  Say(1);
  const std::string long_body(limits::kMaxRecordBytes, 'x');
  EXPECT_EQ(sender_->Send(kinds::kReadings, AsBytes(long_body)).status().code(),
            absl::StatusCode::kInvalidArgument);
  Say(1);
  AwaitDurable();
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_EQ(read->AlarmsBut({}), 0);
}

TEST_F(StreamSenderTest, AnIdleSenderChecksInAndAnswersAProbeAtOnce) {
  ManualClock clock;
  options_.clock = &clock;
  Start();
  Say(1);
  const auto sealed = [&] { return sender_->GetStats().sealed; };
  EXPECT_EQ(sealed(), 2u);
  ASSERT_TRUE(sender_->Tick().ok());
  EXPECT_EQ(sealed(), 2u);
  clock.Advance(absl::Seconds(10));
  ASSERT_TRUE(sender_->Tick().ok());
  EXPECT_EQ(sealed(), 3u);
  ASSERT_TRUE(sender_->Tick(true).ok());
  EXPECT_EQ(sealed(), 4u);
}

// Everything at once: several threads, a hop that comes and goes, a small journal, refusing storage.
TEST_F(StreamSenderTest, WhateverHappensEachRecordIsThereOrReported) {
  options_.journal_bytes = 131072;
  options_.limits.records = 500;
  Start();
  std::atomic<bool> over = false;
  std::atomic<int> sent = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1500; ++i) {
        const std::string body = std::to_string(t) + "/" + std::to_string(i) + std::string(100, '.');
        if (sender_->Send(kinds::kReadings, AsBytes(body)).ok()) ++sent;
        if (i % 3 == 0) sender_->Flush().IgnoreError();
        if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
  }
  std::thread ticker([&] {
    while (!over) {
      sender_->Tick().IgnoreError();
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  for (int i = 0; i < 3; ++i) {
    hop_.Stop();
    faulty_->refuse = 20;
    hop_.Start();
    faulty_->fail = 5;
    hop_.Busy(3);
  }
  for (std::thread& thread : threads) thread.join();
  over = true;
  ticker.join();
  EXPECT_EQ(sent, 4500);
  AwaitDurable();
  sender_->Stop(absl::Seconds(20));
  const auto read = ReadAll();
  EXPECT_EQ(read->AlarmsBut({"missing", "loss_reported"}), 0);
  // Streams that were lost whole are only known from the reports.
  std::set<std::pair<StreamId, uint64_t>> reported;
  for (const std::string& body : read->BodiesOf(kinds::kLoss)) {
    const Loss loss = Must(ParseLoss(AsBytes(body)));
    for (uint64_t i = loss.first_sequence; i <= loss.last_sequence; ++i) reported.emplace(loss.stream, i);
  }
  EXPECT_EQ(reported.size(), sender_->GetStats().lost);
  EXPECT_EQ(read->records.size() + reported.size(), sender_->GetStats().sealed);
  for (const auto& [stream, range] : read->missing) {
    for (uint64_t i = range.first; i <= range.last; ++i) EXPECT_TRUE(reported.contains({stream, i})) << i;
  }
  for (const OwnerReader::Seen& seen : read->records)
    EXPECT_FALSE(reported.contains({seen.place.stream, seen.sequence}));
}

}  // namespace
}  // namespace keystead::testing
