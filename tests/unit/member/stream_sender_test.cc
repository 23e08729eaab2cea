#include "core/member/stream_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <thread>

#include "absl/synchronization/notification.h"

#include "core/membership/signed_object.h"
#include "tests/unit/member/faulty_store.h"
#include "tests/unit/member/test_owner.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

// A device that belongs to an owner's instantiation, and writes into one topic.
class StreamSenderTest : public ::testing::Test {
 protected:
  StreamSenderTest() : device_("sensor", "spiffe://acme.keystead.example/device/device-1") {
    owner_.Commit({}, nullptr);
    self_ = owner_.Pair(*device_.responder, device_.label(), device_.boot, absl::Seconds(1), nullptr);
    topic_ = Topic::Of(TopicKind::kTelemetry, self_);
    channel_ = hop_.DialAs(Role::kDevice);
    options_.publisher = QuickPublisherOptions();
    options_.refusal_retry = absl::Milliseconds(1);
    options_.gather_bytes = 1;  // each flush its own group, however busy the journal is
    OpenStore();
  }
  ~StreamSenderTest() override {
    sender_.reset();
    faulty_.reset();
    store_.reset();
    std::filesystem::remove_all(path_);
  }

  void OpenStore() {
    storage::Options options;
    options.path = path_;
    options.format_name = "sender-test";
    store_ = Must(storage::LogStore::Open(options));
    faulty_ = std::make_unique<FaultyStore>(*store_);
  }

  StreamSender& Start() {
    options_.store = faulty_.get();
    options_.journal = {1, 5};
    StreamSender::Callbacks callbacks;
    callbacks.keys = [this]() -> absl::StatusOr<StreamSender::Keys> {
      if (!has_keys_) return absl::UnavailableError("no keys");
      StreamSender::Keys keys;
      keys.config.tenant = TestTenant();
      keys.config.id = owner_.id();
      keys.config.topic = topic_;
      keys.config.sender = self_;
      keys.config.epoch = owner_.member().chain().epoch();
      KS_ASSIGN_OR_RETURN(keys.key, owner_.member().ring().SenderKeyFor(keys.config.epoch, topic_, self_));
      keys.ik = &device_.ik;
      return keys;
    };
    callbacks.freshness = [this] {
      return owner_.member().MakeFreshness(device_.boot, options_.clock->Uptime(), std::nullopt);
    };
    sender_ = Must(StreamSender::Create(options_, callbacks, channel_));
    return *sender_;
  }

  // What a process does that is killed: nothing more reaches the journal. Then a new one.
  StreamSender& Restart(bool killed) {
    faulty_->dead = killed;
    sender_.reset();
    faulty_.reset();
    store_.reset();
    OpenStore();
    return Start();
  }

  void Say(int count, size_t size = 20, bool flush_each = true) {
    for (int i = 0; i < count; ++i) {
      std::string body = std::to_string(said_.size()) + ":";
      body.resize(std::max(size, body.size()), '.');
      ASSERT_TRUE(sender_->Send(kinds::kReadings, AsBytes(body)).ok());
      said_.push_back(body);
      if (!flush_each) continue;
      ASSERT_TRUE(sender_->Flush().ok());
    }
  }

  void AwaitDurable() {
    ASSERT_TRUE(Eventually([&] {
      EXPECT_TRUE(sender_->Tick().ok());
      return sender_->AllDurable();
    }));
  }

  std::unique_ptr<OwnerReader> ReadAll() { return owner_.Read(hop_, {topic_}); }

  MemberHop hop_;
  TestOwner owner_;
  TestDevice device_;
  MemberId self_;
  Topic topic_;
  std::shared_ptr<grpc::Channel> channel_;
  StreamSender::Options options_;
  std::string path_ = ::testing::TempDir() + "/sender_" + RandomSource::System().NewId<LogId>().ToHex();
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<FaultyStore> faulty_;
  std::unique_ptr<StreamSender> sender_;
  std::vector<std::string> said_;
  std::atomic<bool> has_keys_ = true;
};

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

TEST_F(StreamSenderTest, ARestartResendsTheJournalByteForByteAndOnce) {
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
TEST_F(StreamSenderTest, TheNextOpeningNamesTheJournalsEndAfterAKill) {
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

TEST_F(StreamSenderTest, AFullJournalLosesTheOldestUnsentAndSaysExactlyWhich) {
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
  EXPECT_THAT(read->BodiesOf(kinds::kReadings), ::testing::Contains(said_.back()));
}

TEST_F(StreamSenderTest, ALossIsReportedByTheNextRunToo) {
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

TEST_F(StreamSenderTest, TheJournalOnDiskStaysBoundedWhileTheHopIsAway) {
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

TEST_F(StreamSenderTest, AStoreThatRefusesOrFailsIsTriedAgain) {
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

TEST_F(StreamSenderTest, NothingIsSentThatIsNotJournalled) {
  Start();
  faulty_->refuse = 1000000;
  Say(5);
  EXPECT_EQ(sender_->GetStats().connections, 0u);
  sender_->Stop(absl::Milliseconds(300));
  EXPECT_THAT(hop_.Groups(owner_.id(), topic_), IsEmpty());
}

TEST_F(StreamSenderTest, StopWithoutAHopKeepsTheJournalAndItsPatience) {
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

TEST_F(StreamSenderTest, ADamagedJournalIsAnErrorAndNoCrash) {
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
