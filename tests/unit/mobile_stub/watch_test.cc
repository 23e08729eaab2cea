#include "mobile-stub/watch_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "mobile-stub/device_board.h"
#include "mobile-stub/membership.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using testing::Home;
using testing::Must;
using testing::Witness;

WatchOptions Quick() {
  WatchOptions options;
  options.probe_interval = absl::Milliseconds(300);
  options.save_interval = absl::Milliseconds(200);
  options.limits.gap_grace = absl::Milliseconds(300);
  return options;
}

// A genuine record under the same outer fields, changed in its last byte: the tag.
Payload WithBrokenTag(const Payload& group) {
  GroupHeaderCache headers;
  const GroupView view = Must(GroupView::Parse(*group, headers));
  GroupBuilder out(view.header());
  Bytes cose = ToBytes(view.records().front().cose);
  cose.back() ^= 1;
  EXPECT_TRUE(out.Append(view.records().front().sequence, cose).ok());
  return out.Take();
}

// The same record under another sender's name.
Payload UnderAnotherStream(const Payload& group) {
  GroupHeaderCache headers;
  const GroupView view = Must(GroupView::Parse(*group, headers));
  GroupHeader header = view.header();
  header.stream = RandomSource::System().NewId<StreamId>();
  GroupBuilder out(header);
  EXPECT_TRUE(out.Append(view.records().front().sequence, view.records().front().cose).ok());
  return out.Take();
}

bool Has(const Witness& w, SecurityEventKind kind, const std::string& stream, uint64_t sequence) {
  return std::ranges::any_of(w.alarms(), [&](const SecurityEvent& e) {
    return e.kind == kind && e.stream == stream && e.sequence == sequence;
  });
}

class WatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = home_.NewDevice("thermo");
    home_.Pair({device_.get()});
    engine_ = home_.App();
    session_ = Must(WatchSession::Start(*engine_, &witness_, Quick()));
    ASSERT_TRUE(session_->AwaitCaughtUp(testing::kPatience));
  }
  void AwaitReadings(size_t count) {
    witness_.Await([&](const Witness& w) { return w.readings().size() >= count; }, "readings");
  }

  Home home_;
  std::unique_ptr<testing::TestDevice> device_;
  std::unique_ptr<Engine> engine_;
  Witness witness_;
  std::unique_ptr<WatchSession> session_;
};

TEST_F(WatchTest, ASessionIsToldOfItsOwnAlarmsAndGoesOnWhenAnotherHasEnded) {
  Witness other;
  const auto other_engine = home_.App();
  WatchOptions beside = Quick();
  beside.remember = false;
  auto second = Must(WatchSession::Start(*other_engine, &other, beside));
  ASSERT_TRUE(second->AwaitCaughtUp(testing::kPatience));
  device_->SendReading(1, true);
  AwaitReadings(1);
  home_.Inject(UnderAnotherStream(device_->last_group()));
  const auto alarmed = [](size_t count) {
    return [count](const Witness& w) {
      return std::ranges::count(w.alarms(), SecurityEventKind::kOpenFailed, &SecurityEvent::kind) >=
             static_cast<std::ptrdiff_t>(count);
    };
  };
  witness_.Await(alarmed(1), "the first session's alarm");
  other.Await(alarmed(1), "the second session's alarm");
  ASSERT_TRUE(second->Stop().ok());
  home_.Inject(UnderAnotherStream(device_->last_group()));
  witness_.Await(alarmed(2), "an alarm after the other session's end");
  // Each was told of what it met itself, once.
  EXPECT_EQ(std::ranges::count(witness_.alarms(), SecurityEventKind::kOpenFailed, &SecurityEvent::kind), 2);
  EXPECT_EQ(std::ranges::count(other.alarms(), SecurityEventKind::kOpenFailed, &SecurityEvent::kind), 1);
}

TEST_F(WatchTest, ReadingsArePendingUntilACheckpointCoversThem) {
  device_->SendReading(21.5);
  AwaitReadings(1);
  EXPECT_FALSE(witness_.readings()[0].confirmed);
  EXPECT_EQ(witness_.readings()[0].value, 21.5);
  device_->SendReading(22.5, true);
  AwaitReadings(2);
  witness_.Await([](const Witness& w) { return w.confirmed() >= 3; }, "opening and two readings confirmed");
  EXPECT_TRUE(witness_.alarms().empty()) << witness_.alarms().front().detail;
}

TEST_F(WatchTest, EchoedProbeMakesAStreamLive) {
  EXPECT_TRUE(session_->AwaitStreams(
      [](const std::vector<StreamStatus>& streams) {
        return std::ranges::any_of(streams,
                                   [](const StreamStatus& s) { return s.liveness == Liveness::kLive; });
      },
      testing::kPatience));
}

TEST_F(WatchTest, WithoutProbesNothingIsLive) {
  ASSERT_TRUE(session_->Stop().ok());
  WatchOptions options = Quick();
  options.probe_interval = absl::ZeroDuration();
  session_ = Must(WatchSession::Start(*engine_, &witness_, options));
  device_->SendReading(1, true);
  AwaitReadings(1);
  for (const StreamStatus& s : session_->Streams()) EXPECT_EQ(s.liveness, Liveness::kHistory);
}

TEST_F(WatchTest, ChangedRecordsAreRefusedOneByOne) {
  device_->SendReading(1);
  AwaitReadings(1);
  // The reading, or the checkpoint with which the device has answered a probe meanwhile.
  const Payload genuine = device_->last_group();
  GroupHeaderCache headers;
  const GroupView view = Must(GroupView::Parse(*genuine, headers));
  const std::string stream = view.header().stream.ToHex();
  const uint64_t at = view.first_sequence();
  home_.Inject(WithBrokenTag(genuine));
  witness_.Await([&](const Witness& w) { return Has(w, SecurityEventKind::kOpenFailed, stream, at); },
                 "the alarm about the broken tag");
  const Payload moved = UnderAnotherStream(genuine);
  const std::string other = Must(GroupView::Parse(*moved, headers)).header().stream.ToHex();
  home_.Inject(moved);
  witness_.Await([&](const Witness& w) { return Has(w, SecurityEventKind::kOpenFailed, other, at); },
                 "the alarm about the moved record");
  device_->SendReading(2);
  AwaitReadings(2);
  EXPECT_EQ(witness_.readings().size(), 2u);
}

TEST_F(WatchTest, GapIsReportedMissing) {
  const uint64_t skipped = device_->SkipReading(1);
  device_->SendReading(2);
  witness_.Await([](const Witness& w) { return !w.missing().empty(); }, "missing");
  EXPECT_EQ(witness_.missing()[0].second, (SequenceRange{skipped, skipped}));
  AwaitReadings(1);
}

TEST_F(WatchTest, NextSessionGoesOnWhereThisOneEnded) {
  device_->SendReading(1, true);
  AwaitReadings(1);
  ASSERT_TRUE(session_->Stop().ok());
  Witness again;
  session_ = Must(WatchSession::Start(*engine_, &again, Quick()));
  device_->SendReading(2, true);
  again.Await([](const Witness& w) { return !w.readings().empty(); }, "the new reading");
  ASSERT_EQ(again.readings().size(), 1u);
  EXPECT_EQ(again.readings()[0].value, 2);
  ASSERT_TRUE(session_->Stop().ok());
}

TEST_F(WatchTest, LostPositionsDoNotDeliverTwice) {
  const uint64_t at = device_->SendReading(1, true);
  AwaitReadings(1);
  ASSERT_TRUE(session_->Stop().ok());
  ReaderMemory memory = Must(engine_->state().LoadReaderMemory());
  memory.positions.clear();  // as on another hop
  ASSERT_TRUE(engine_->state().SaveReaderMemory(memory).ok());
  Witness again;
  session_ = Must(WatchSession::Start(*engine_, &again, Quick()));
  again.Await(
      [&](const Witness& w) {
        return std::ranges::any_of(w.duplicates(), [&](const auto& d) {
          return d.second == at && d.first.topic.kind() == TopicKind::kTelemetry;
        });
      },
      "the duplicate");
  EXPECT_TRUE(again.readings().empty());
  ASSERT_TRUE(session_->Stop().ok());
}

TEST_F(WatchTest, HopThatHoldsLessThanWasSeenIsNoticed) {
  device_->SendReading(1, true);
  AwaitReadings(1);
  ASSERT_TRUE(session_->Stop().ok());
  Home other;  // an empty log elsewhere
  const auto engine = Must(Engine::Over(home_.state_folder(), other.Dial(Role::kApp), engine_->transport()));
  Witness again;
  session_ = Must(WatchSession::Start(*engine, &again, Quick()));
  again.Await(
      [](const Witness& w) {
        return std::ranges::any_of(w.alarms(), [](const SecurityEvent& e) {
          return e.kind == SecurityEventKind::kProviderRolledBack;
        });
      },
      "provider rolled back");
  ASSERT_TRUE(session_->Stop().ok());
}

TEST_F(WatchTest, FollowsAChangeMadeByAnotherProcess) {
  device_->SendReading(1, true);
  AwaitReadings(1);
  const auto second = home_.NewDevice("second");
  home_.Pair({second.get()});
  witness_.Await([](const Witness& w) { return w.epoch() == 2; }, "epoch 2");
  device_->AwaitEpoch(2);
  second->SendReading(7);
  device_->SendReading(8);
  AwaitReadings(3);
  EXPECT_TRUE(witness_.alarms().empty()) << witness_.alarms().front().detail;
  ASSERT_TRUE(session_->Stop().ok());
  EXPECT_EQ(Must(engine_->state().LoadMember()).chain().epoch(), 2u);
}

// What is written under a commit comes in another call than the commit.
class OvertakenCommitTest : public WatchTest {
 protected:
  // A session that is handed a reading under new keys before the commit that made them.
  void SetUp() override {
    WatchTest::SetUp();
    ASSERT_TRUE(session_->Stop().ok());
    home_.hop().WithholdKeyring(true);
    session_ = Must(WatchSession::Start(*engine_, &witness_, Quick()));
    ASSERT_TRUE(
        AddCourier(*home_.App(), Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/one"))).ok());
    device_->AwaitEpoch(2);
    device_->SendReading(8);
    witness_.Await([this](const Witness&) { return session_->AwaitsCommit(); },
                   "a reading before its commit");
  }
};

TEST_F(OvertakenCommitTest, WhatCameBeforeItsCommitIsReadWhenThatComes) {
  home_.hop().WithholdKeyring(false);
  AwaitReadings(1);
  EXPECT_FALSE(session_->AwaitsCommit());
  EXPECT_TRUE(witness_.alarms().empty()) << witness_.alarms().front().detail;
}

TEST_F(OvertakenCommitTest, ACommitThatNeverComesIsAnAlarm) {
  witness_.Await([](const Witness& w) { return !w.alarms().empty(); }, "an alarm");
  EXPECT_EQ(witness_.alarms().front().kind, SecurityEventKind::kOpenFailed);
  EXPECT_EQ(witness_.alarms().front().epoch, 2u);
}

// It is delivered again to the next session: it was not read.
TEST_F(OvertakenCommitTest, WhatStillWaitsIsNotPassedOver) {
  ASSERT_TRUE(session_->Stop().ok());
  home_.hop().WithholdKeyring(false);
  session_ = Must(WatchSession::Start(*engine_, &witness_, Quick()));
  AwaitReadings(1);
}

TEST(EarlyGroupsTest, KeepsOrderAndBounds) {
  EarlyGroups early;
  const Topic topic = Topic::Of(TopicKind::kTelemetry, MemberId());
  const auto group = [](size_t size) { return std::make_shared<const std::string>(size, 'g'); };
  const absl::Duration now = absl::Seconds(100);
  EXPECT_TRUE(early.Hold(topic, 3, group(1), now));
  EXPECT_TRUE(early.Hold(topic, 4, group(2), now));
  EXPECT_TRUE(early.Hold(topic, 3, group(3), now));
  EXPECT_FALSE(early.Hold(topic, 3, group(EarlyGroups::kMaxBytes - 3 * EarlyGroups::kCost), now));
  const auto known = early.Release(3, now);
  ASSERT_EQ(known.size(), 2u);
  EXPECT_EQ(known[0].bytes->size(), 1u);
  EXPECT_EQ(known[1].bytes->size(), 3u);
  EXPECT_TRUE(early.Holds(topic));
  EXPECT_TRUE(early.Release(3, now + EarlyGroups::kPatience - absl::Milliseconds(1)).empty());
  EXPECT_EQ(early.Release(3, now + EarlyGroups::kPatience).size(), 1u);
  EXPECT_TRUE(early.empty());
  // What was released gives its room back.
  EXPECT_TRUE(early.Hold(topic, 3, group(EarlyGroups::kMaxBytes - EarlyGroups::kCost), now));
}

TEST_F(WatchTest, OneOfTwoSessionsRemembers) {
  Witness other;
  const auto beside = Must(WatchSession::Start(*engine_, &other, Quick()));
  device_->SendReading(1, true);
  other.Await([](const Witness& w) { return !w.readings().empty(); }, "readings beside");
  AwaitReadings(1);
  ASSERT_TRUE(beside->Stop().ok());
  ASSERT_TRUE(session_->Stop().ok());
  const ReaderMemory memory = Must(engine_->state().LoadReaderMemory());
  EXPECT_GT(memory.positions.at(Topic::Of(TopicKind::kTelemetry, device_->self())).next, 0u);
}

TEST_F(WatchTest, SessionThatRemembersNothingLeavesEverythingToTheNext) {
  ASSERT_TRUE(session_->Stop().ok());
  const uint64_t skipped = device_->SkipReading(1);
  device_->SendReading(2, true);
  for (const bool remember : {false, false, true}) {
    Witness witness;
    WatchOptions options = Quick();
    options.remember = remember;
    session_ = Must(WatchSession::Start(*engine_, &witness, options));
    witness.Await([](const Witness& w) { return !w.missing().empty() && !w.readings().empty(); },
                  "what came before");
    EXPECT_EQ(witness.missing()[0].second, (SequenceRange{skipped, skipped}));
    EXPECT_EQ(witness.readings()[0].value, 2);
    ASSERT_TRUE(session_->Stop().ok());
  }
}

TEST_F(WatchTest, SaysWhoHasNotFollowedAChangeOfKeys) {
  witness_.Await(
      [](const Witness& w) { return w.waiting() == std::pair(uint64_t{1}, std::vector<MemberId>()); },
      "nobody to wait for");
  device_->Stop();
  ASSERT_TRUE(
      AddCourier(*home_.App(), Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/one"))).ok());
  witness_.Await(
      [&](const Witness& w) { return w.waiting() == std::pair(uint64_t{2}, std::vector{device_->self()}); },
      "waiting for the device that is off");
}

class BoardTest : public WatchTest {
 protected:
  void SetUp() override {
    WatchTest::SetUp();
    ASSERT_TRUE(session_->Stop().ok());
    const Member member = Must(engine_->state().LoadMember());
    board_.OnMembership(member.chain());
    telemetry_ = {member.identity().tenant,
                  member.identity().id,
                  Topic::Of(TopicKind::kTelemetry, device_->self()),
                  device_->self(),
                  1,
                  RandomSource::System().NewId<StreamId>()};
    state_ = telemetry_;
    state_.topic = Topic::Of(TopicKind::kState, device_->self());
    state_.stream = RandomSource::System().NewId<StreamId>();
  }
  void Read(const StreamPlace& place, uint64_t sequence, double value, bool current) {
    v1::ReadingBatch batch;
    batch.set_taken_unix_us(absl::ToUnixMicros(absl::Now()));
    batch.add_channels()->set_name("temperature");
    batch.add_readings()->set_value(value);
    ReadRecord record;
    record.place = &place;
    record.sequence = sequence;
    board_.OnReadings(record, batch, current);
  }
  static StreamStatus Status(const StreamPlace& place, Liveness liveness, bool current) {
    StreamStatus status;
    status.place = place;
    status.liveness = liveness;
    status.current = current;
    return status;
  }
  ChannelValue Shown() { return board_.Rows().at(0).channels.at("temperature"); }

  DeviceBoard board_{std::map<MemberId, std::string>()};
  StreamPlace telemetry_, state_;
};

// A hop that passes state on and keeps telemetry back makes no old temperature live.
TEST_F(BoardTest, ValueIsAsLiveAsTheStreamItCameIn) {
  Read(telemetry_, 1, 20, true);
  board_.OnState({Status(telemetry_, Liveness::kLive, true), Status(state_, Liveness::kLive, true)});
  EXPECT_EQ(Shown().liveness, "live");
  board_.OnState({Status(telemetry_, Liveness::kLate, true), Status(state_, Liveness::kLive, true)});
  EXPECT_EQ(Shown().liveness, "late");
  board_.OnState({Status(state_, Liveness::kLive, true)});
  EXPECT_EQ(Shown().liveness, "history");
  EXPECT_EQ(board_.Rows().at(0).liveness, "live");
}

TEST_F(BoardTest, OlderStreamTakesNoPlaceOfTheCurrentOne) {
  StreamPlace older = telemetry_;
  older.stream = RandomSource::System().NewId<StreamId>();
  Read(telemetry_, 4, 20, true);
  Read(older, 900, 99, false);
  EXPECT_EQ(Shown().value, 20);
  Read(telemetry_, 3, 98, true);  // a gap that closed late
  EXPECT_EQ(Shown().value, 20);
  Read(telemetry_, 5, 21, true);
  EXPECT_EQ(Shown().value, 21);
  StreamPlace newer = telemetry_;
  newer.stream = RandomSource::System().NewId<StreamId>();
  board_.OnState({Status(telemetry_, Liveness::kLive, true)});
  Read(newer, 1, 22, true);
  EXPECT_EQ(Shown().value, 22);
  EXPECT_EQ(Shown().liveness, "history");  // until something is known of the new stream
}

TEST_F(WatchTest, BoardShowsValueAndWhatMayBeBelieved) {
  ASSERT_TRUE(session_->Stop().ok());
  DeviceBoard board({{device_->self(), "thermometer"}});
  session_ = Must(WatchSession::Start(*engine_, &board, Quick()));
  device_->SendReading(19.25, true);
  const bool live = session_->AwaitStreams(
      [&](const std::vector<StreamStatus>& streams) {
        board.OnState(streams);
        const std::vector<DeviceRow> rows = board.Rows();
        return rows.size() == 1 && rows[0].channels.contains("temperature") &&
               rows[0].channels.at("temperature").liveness == "live" &&
               rows[0].channels.at("temperature").confirmed;
      },
      testing::kPatience);
  EXPECT_TRUE(live);
  ASSERT_TRUE(session_->Stop().ok());
  const DeviceRow row = board.Rows()[0];
  EXPECT_EQ(row.device_id, "thermo");
  EXPECT_EQ(row.kind, "thermometer");
  EXPECT_EQ(row.channels.at("temperature").value, 19.25);
  EXPECT_EQ(row.channels.at("temperature").unit, "Cel");
  EXPECT_THAT(row.flags, ::testing::IsEmpty());
}

}  // namespace
}  // namespace keystead::mobile
