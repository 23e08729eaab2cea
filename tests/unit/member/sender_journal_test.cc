// What a sender keeps on disk: through kills, full and damaged journals, and storage that fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ranges>

#include "tests/unit/member/stream_sender_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

class SenderJournalTest : public StreamSenderTest {};

TEST_F(SenderJournalTest, ARestartResendsTheJournalByteForByteAndOnce) {
  hop_.Stop();
  Start();
  Say(10);  // and the opening
  ASSERT_TRUE(Eventually([&] { return Must(store_->GetBounds(options_.journal)).end == 11; }));
  std::vector<std::string> journalled;
  for (const storage::Entry& entry : Must(store_->Read(options_.journal, 0, 1 << 20)))
    journalled.push_back(*entry.bytes);
  Restart(true);
  EXPECT_EQ(sender_->GetStats().journal_entries, 11u);
  hop_.Start();
  AwaitDurable();
  std::vector<std::string> arrived;
  for (const Payload& group : hop_.Groups(owner_.id(), topic_)) arrived.push_back(*group);
  EXPECT_THAT(arrived, ElementsAreArray(journalled));
  Say(5);
  AwaitDurable();
  // A third run finds nothing left to send.
  Restart(false);
  EXPECT_TRUE(sender_->AllDurable());
  Say(1);
  AwaitDurable();
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_EQ(read->duplicates, 0u);
  EXPECT_EQ(read->BodiesOf(kinds::kOpening).size(), 3u);
  EXPECT_EQ(read->AlarmsBut({}),
            0);  // no tail unknown, no clone: each opening names the end of the one before
}

// What was sealed and not journalled when the process died was never said: the next opening must not name it.
TEST_F(SenderJournalTest, TheNextOpeningNamesTheJournalsEndAfterAKill) {
  hop_.Stop();
  options_.gather_bytes = 600;
  Start();
  Say(25, 100, false);  // flushes itself now and then, in the midst of sealing
  const uint64_t flushed = sender_->GetStats().groups;
  ASSERT_GT(flushed, 1u);
  ASSERT_TRUE(Eventually([&] { return Must(store_->GetBounds(options_.journal)).end == flushed; }));
  Restart(true);
  hop_.Start();
  Say(1, 100);
  AwaitDurable();
  const auto read = ReadAll();
  const auto bodies = read->BodiesOf(kinds::kReadings);
  EXPECT_LT(bodies.size(), 26u);
  EXPECT_GT(bodies.size(), 5u);
  EXPECT_EQ(bodies.back(), said_.back());
  EXPECT_THAT(read->missing, IsEmpty());
  EXPECT_EQ(read->AlarmsBut({}), 0);
}

TEST_F(SenderJournalTest, AFullJournalLosesTheOldestUnsentAndSaysExactlyWhich) {
  hop_.Stop();
  options_.journal_bytes = 8192;
  Start();
  Say(200, 200);
  EXPECT_GT(sender_->GetStats().lost, 100u);
  EXPECT_LE(sender_->GetStats().journal_bytes, 8192u);
  EXPECT_TRUE(sender_->Tick().ok());  // while it is full, no report adds to it
  hop_.Start();
  AwaitDurable();
  Say(1);
  AwaitDurable();
  const auto read = ReadAll();
  EXPECT_EQ(read->AlarmsBut({"missing", "loss_reported"}), 0);
  uint64_t reported = 0;
  for (const std::string& body : read->BodiesOf(kinds::kLoss)) {
    const auto loss = ParseLoss(AsBytes(body));
    ASSERT_TRUE(loss.ok());
    EXPECT_EQ(loss->reason, "journal full");
    for (uint64_t i = loss->first_sequence; i <= loss->last_sequence; ++i) {
      const bool is_missing = std::ranges::any_of(read->missing, [&](const auto& missing) {
        return missing.first == loss->stream && missing.second.first <= i && i <= missing.second.last;
      });
      EXPECT_TRUE(is_missing) << i << " is reported lost, and is there";
      ++reported;
    }
  }
  EXPECT_EQ(reported, read->Missing());
  EXPECT_EQ(reported, sender_->GetStats().lost);
}

// What the hop was already handed might have arrived, so it stays; of all else the newest.
TEST_F(SenderJournalTest, AFullJournalKeepsWhatIsOnItsWayAndTheNewest) {
  hop_.Stop();
  options_.journal_bytes = 8192;
  Start();
  for (int i = 0; i < 100; ++i) {
    Say(1, 200);
    ASSERT_TRUE(Eventually([&] { return faulty_->GetStats().queue_tasks == 0; }));  // so it was handed over
  }
  hop_.Start();
  AwaitDurable();
  const auto bodies = ReadAll()->BodiesOf(kinds::kReadings);
  ASSERT_LT(bodies.size(), said_.size());
  const auto first_kept = std::ranges::mismatch(bodies, said_).in1 - bodies.begin();
  const auto last_kept =
      std::ranges::mismatch(bodies | std::views::reverse, said_ | std::views::reverse).in1.base();
  EXPECT_EQ(last_kept - bodies.begin(), first_kept) << "one gap, and nothing out of order";
  EXPECT_GE(first_kept, 4096 / 512);
  EXPECT_GE(bodies.end() - last_kept, 4096 / 512);
}

TEST_F(SenderJournalTest, ALossIsReportedByTheNextRunToo) {
  hop_.Stop();
  options_.journal_bytes = 8192;
  Start();
  Say(100, 200);
  const uint64_t lost = sender_->GetStats().lost;
  ASSERT_GT(lost, 0u);
  ASSERT_TRUE(Eventually([&] { return faulty_->GetStats().queue_tasks == 0; }));
  Restart(true);
  hop_.Start();
  AwaitDurable();
  Say(1);
  AwaitDurable();
  const auto read = ReadAll();
  ASSERT_FALSE(read->BodiesOf(kinds::kLoss).empty());
  // What was given up may still stand in the journal, and is sent then: less is missing than reported.
  EXPECT_LE(read->Missing(), lost);
  EXPECT_EQ(read->AlarmsBut({"missing", "loss_reported"}), 0);
}

TEST_F(SenderJournalTest, TheJournalOnDiskStaysBoundedWhileTheHopIsAway) {
  hop_.Stop();
  options_.journal_bytes = 16384;
  Start();
  for (int i = 0; i < 20; ++i) {
    Say(50, 200);
    ASSERT_TRUE(Eventually([&] { return faulty_->GetStats().queue_tasks == 0; }));
  }
  uint64_t kept = 0;
  const storage::Bounds bounds = Must(store_->GetBounds(options_.journal));
  for (const storage::Entry& entry : Must(store_->Read(options_.journal, bounds.first, 1 << 24)))
    kept += entry.bytes->size();
  EXPECT_LT(kept, 5 * options_.journal_bytes);
  EXPECT_GT(bounds.first, 0u);
  Restart(true);
  hop_.Start();
  AwaitDurable();
  EXPECT_EQ(ReadAll()->AlarmsBut({"missing", "loss_reported"}), 0);
}

TEST_F(SenderJournalTest, AStoreThatRefusesOrFailsIsTriedAgain) {
  Start();
  faulty_->refuse = 3;
  Say(3);
  faulty_->fail = 2;
  Say(3);
  AwaitDurable();
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_EQ(read->AlarmsBut({}), 0);
  // And the journal is empty in the end, whatever order things went in.
  sender_->Stop(absl::Seconds(20));
  const storage::Bounds bounds = Must(store_->GetBounds(options_.journal));
  EXPECT_EQ(bounds.first, bounds.end);
}

TEST_F(SenderJournalTest, NothingIsSentThatIsNotJournalled) {
  Start();
  faulty_->refuse = 1000000;
  Say(5);
  EXPECT_EQ(sender_->GetStats().connections, 0u);
  sender_->Stop(absl::Milliseconds(300));
  EXPECT_THAT(hop_.Groups(owner_.id(), topic_), IsEmpty());
}

TEST_F(SenderJournalTest, StopWithoutAHopKeepsTheJournalAndItsPatience) {
  hop_.Stop();
  Start();
  Say(5);
  const absl::Time begun = absl::Now();
  sender_->Stop(absl::Milliseconds(400));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5));
  hop_.Start();
  Restart(false);
  AwaitDurable();
  const auto read = ReadAll();
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ElementsAreArray(said_));
  EXPECT_TRUE(ParseCheckpoint(AsBytes(read->BodiesOf(kinds::kCheckpoint).back()))->end);
}

TEST_F(SenderJournalTest, ADamagedJournalIsAnErrorAndNoCrash) {
  ASSERT_TRUE(store_
                  ->Commit([&](storage::Transaction& t) {
                    return t.Append({1, 5}, std::make_shared<const std::string>("no group")).status();
                  })
                  .ok());
  options_.store = store_.get();
  options_.journal = {1, 5};
  EXPECT_FALSE(StreamSender::Create(options_, {}, channel_).ok());
  ASSERT_TRUE(store_
                  ->Commit([&](storage::Transaction& t) {
                    t.Put(1, kSenderTable, "6", "no row");
                    return absl::OkStatus();
                  })
                  .ok());
  options_.journal = {1, 6};
  EXPECT_FALSE(StreamSender::Create(options_, {}, channel_).ok());
}

}  // namespace
}  // namespace keystead::testing
