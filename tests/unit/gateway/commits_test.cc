// What a hostile next hop and hostile members can do to the commits that a gateway keeps for its home.
#include <gmock/gmock.h>

#include "core/base/limits.h"
#include "tests/unit/gateway/gateway_fixture.h"

namespace keystead::testing {
namespace {

class GatewayCommitsTest : public GatewayTest {
 protected:
  GroupHeader CommitPlace(uint64_t epoch) const {
    GroupHeader out = Header(home_.owner(), TopicKind::kKeyring);
    out.epoch = epoch;
    out.stream = StreamId();
    return out;
  }
  // The whole of keyring as a device that is new here gets it.
  std::vector<std::string> Keyring(const std::string& device = "device-1") {
    ReadWitness reader;
    const auto subscriber = Subscribe(Role::kDevice, device, reader, {Topic::Keyring()});
    reader.AwaitCaughtUp(1);
    std::vector<std::string> out;
    auto records = reader.records();
    for (const auto& [sequence, content] : records[Topic::Keyring().str()]) out.push_back(content);
    return out;
  }
  void AwaitEpoch(uint64_t epoch) {
    Await([&] { return gateway_->GetStats().lan.epoch == epoch; }, "an epoch");
  }
};

// The hop sees who commits and that epochs are counted: it can fill every place beforehand.
TEST_F(GatewayCommitsTest, JunkAtThePlacesOfComingCommitsDoesNotKeepThemOut) {
  StartInHome();
  const std::string first = home_.bundle();
  std::vector<Payload> junk;
  for (uint64_t epoch = 0; epoch <= 3; ++epoch) {
    for (int i = 0; i < 4; ++i)
      junk.push_back(Group(CommitPlace(epoch), 0, "junk " + std::to_string(10 * epoch + i)));
  }
  junk.push_back(Group(CommitPlace(1), 1, "junk beside it"));
  upstream_.Replace();
  upstream_.Place(junk);
  Await([&] { return gateway_->GetStats().down.refused_commits >= junk.size(); }, "all were refused");
  EXPECT_GE(Events(SecurityEventKind::kCommitRefused), junk.size());
  EXPECT_THAT(Keyring(), ::testing::ElementsAre(first));
  upstream_.Replace();
  upstream_.Place({home_.Commit()});
  AwaitEpoch(1);
  EXPECT_THAT(Keyring(), ::testing::ElementsAre(first, home_.bundle()));
}

// A signed commit is not taken at another's place either, nor without the one before it.
TEST_F(GatewayCommitsTest, AGenuineCommitCountsAtItsOwnPlaceOnly) {
  StartInHome();
  const Payload one = home_.Commit();
  const std::string bundle = home_.bundle();
  const Payload two = home_.Commit();
  GroupHeader elsewhere = CommitPlace(1);
  elsewhere.sender = devices_[0];
  upstream_.Place({two, Group(elsewhere, 0, bundle), Group(CommitPlace(1), 0, home_.bundle())});
  Await([&] { return gateway_->GetStats().down.refused_commits >= 3; }, "all were refused");
  EXPECT_EQ(gateway_->GetStats().lan.epoch, 0u);
  upstream_.Place({one});
  AwaitEpoch(1);
}

// An offset is the next hop's word. Where junk stood at one, the genuine commit is found by its epoch.
TEST_F(GatewayCommitsTest, ACommitThatWasPassedOverIsAskedFor) {
  StartInHome();
  home_.Commit();  // never comes down
  upstream_.SetBundle(1, home_.bundle());
  upstream_.Place({Group(CommitPlace(1), 0, "junk")});
  AwaitEpoch(1);
  // Nor does this one, and nothing stands in its place; but somebody speaks of it.
  home_.Commit();
  upstream_.SetBundle(2, home_.bundle());
  upstream_.Place({home_.HeadNotice(NumberedId<StreamId>(3), 0)});
  AwaitEpoch(2);
  // A device of the house is ahead.
  home_.Commit();
  upstream_.SetBundle(3, home_.bundle());
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 3));
  EXPECT_TRUE(witness.refusals().empty());
  EXPECT_EQ(gateway_->GetStats().lan.epoch, 3u);
  // What it learned so it keeps.
  Stop();
  Start();
  AwaitEpoch(3);
  EXPECT_THAT(Keyring(), ::testing::SizeIs(5));
}

TEST_F(GatewayCommitsTest, ANextHopThatHasNothingIsNotAskedWithoutEnd) {
  StartInHome();
  const absl::Time begun = absl::Now();
  GroupHeader ahead = Header(home_.owner(), TopicKind::kKeyring, 6);
  ahead.epoch = 9;
  uint64_t sequence = 0;
  Await(
      [&] {
        upstream_.Place({Group(ahead, sequence++, "of a future")});
        return upstream_.fetches >= 5;
      },
      "questions");
  EXPECT_GE(absl::Now() - begun, options_.retry_refused * (1 + 2 + 4 + 8));
}

TEST_F(GatewayCommitsTest, MoreVariantsOfACommandThanAreKeptAreAnEvent) {
  StartInHome();
  GroupHeader command = Header(home_.owner(), TopicKind::kTelemetry, 5);
  command.topic = Topic::Of(TopicKind::kCommand, devices_[0]);
  // The next hop of this test bounds what it keeps itself: it is replaced until the gateway has all it takes.
  constexpr size_t kKept = limits::kSharedVariantsPerPlace;
  for (size_t placed = 0; placed < kKept;) {
    upstream_.Replace();
    std::vector<Payload> junk;
    for (size_t i = 0; i < limits::kMaxVariantsPerSequence; ++i)
      junk.push_back(Group(command, 0, "junk" + std::to_string(placed++)));
    upstream_.Place(junk);
    Await([&] { return gateway_->GetStats().down.stored >= placed + 1; }, "junk");
  }
  upstream_.Replace();
  upstream_.Place({Group(command, 0, "on"), Group(command, 1, "off")});
  Await(
      [&] {
        return gateway_->GetStats().down.refused_records == 1 && Events(SecurityEventKind::kConflict) >= 1;
      },
      "an event");
  EXPECT_EQ(Events(SecurityEventKind::kConflict), 1u);
  ReadWitness reader;
  const auto device = Subscribe(Role::kDevice, "device-1", reader, {command.topic});
  reader.AwaitRecords(kKept + 1);
  EXPECT_EQ(reader.records()[command.topic.str()].back().second, "off");
}

// Bounded history
// ---------------------------------------------------------------------------------------------------

class GatewayKeyringHistoryTest : public GatewayCommitsTest {
 protected:
  static constexpr size_t kHistory = 64 << 10;
  GatewayKeyringHistoryTest() { options_.history_bytes = kHistory; }
  // What any member may do, until the keyring has been written anew.
  void Flood(Publisher& publisher, PublishWitness& witness, int stream) {
    const GroupHeader header = Header(devices_[0], TopicKind::kKeyring, stream);
    const uint64_t before = gateway_->GetStats().keyrings_rewritten;
    uint64_t sequence = 0;
    Await(
        [&] {
          uint64_t last = 0;
          for (int i = 0; i < 16; ++i)
            last = *publisher.Enqueue(Group(header, sequence++, std::string(1000, 'p')));
          witness.AwaitDurable(last);
          return gateway_->GetStats().keyrings_rewritten > before;
        },
        "a trimmed keyring");
  }
  // The commits that a newcomer gets, each once and in order; and no more notices than are kept.
  void ExpectCommits(const std::vector<std::string>& commits) {
    std::vector<std::string> seen;
    // Trimming may lag behind a flood, and has to catch up; who reads meanwhile meets commits that it knows.
    const auto bounded = [&] {
      seen.clear();
      size_t bytes = 0;
      for (const std::string& content : Keyring("device-2")) {
        bytes += content.size();
        if (content.size() != 1000) seen.push_back(content);
      }
      return bytes < 3 * kHistory && seen.size() <= commits.size();
    };
    Await(bounded, "a keyring within its bounds, with each commit once");
    EXPECT_EQ(seen, commits);
  }
};

TEST_F(GatewayKeyringHistoryTest, CommitsOutliveEverythingThatMembersPublish) {
  StartInHome();
  std::vector<std::string> commits{home_.bundle()};
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  ReadWitness live;
  const auto reader = Subscribe(Role::kDevice, "device-2", live, {Topic::Keyring()});
  live.AwaitCaughtUp(1);
  for (int round = 1; round <= 3; ++round) {
    Flood(*device, witness, round);
    ExpectCommits(commits);
    upstream_.Place({home_.Commit()});
    commits.push_back(home_.bundle());
    AwaitEpoch(round);
    ExpectCommits(commits);
  }
  Stop();
  Start();
  AwaitEpoch(3);
  Flood(*device, witness, 9);
  ExpectCommits(commits);
  EXPECT_EQ(upstream_.duplicates, 0u);  // what was written again did not go up again
  EXPECT_TRUE(witness.refusals().empty());
  EXPECT_EQ(live.records().begin()->second.front().second, commits[0]);
}

// The queue is not history: what the next hop does not have yet stays, and commits stay with it.
TEST_F(GatewayKeyringHistoryTest, WhatIsNotForwardedStays) {
  StartInHome();
  const std::string first = home_.bundle();
  upstream_.Stop();
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  const GroupHeader header = Header(devices_[0], TopicKind::kKeyring);
  constexpr uint64_t kNotices = 300;
  uint64_t last = 0;
  for (uint64_t i = 0; i < kNotices; ++i) last = *device->Enqueue(Group(header, i, std::string(1000, 'p')));
  witness.AwaitDurable(last);
  EXPECT_THAT(Keyring("device-2"), ::testing::Contains(first));
  EXPECT_EQ(gateway_->GetStats().keyrings_rewritten, 0u);
  upstream_.Start();
  upstream_.AwaitRecords(home_.id(), Topic::Keyring(), kNotices + 1);
  Await([&] { return gateway_->GetStats().keyrings_rewritten > 0; }, "a trimmed keyring");
  ExpectCommits({first});
}

// Terms
// -----------------------------------------------------------------------------------------------------------

TEST_F(GatewayTest, TakesNothingOnceItsOwnTermIsOver) {
  home_.SetGatewayTerm(clock_.Now() + absl::Hours(1));
  StartInHome();
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  ReadWitness reader;
  const auto other = Subscribe(Role::kDevice, "device-2", reader, {Topic::Keyring()});
  reader.AwaitCaughtUp(1);
  const uint64_t taken = Send(*device, 1, 0, 9);
  witness.AwaitDurable(taken);
  clock_.Advance(absl::Hours(2));
  reader.AwaitDisconnects(1);
  EXPECT_EQ(reader.disconnects()[0].code(), absl::StatusCode::kUnavailable);
  witness.AwaitDisconnects(1);
  Send(*device, 1, 10, 19);
  witness.AwaitDisconnects(3);
  EXPECT_EQ(witness.durable(), taken);
  EXPECT_TRUE(witness.refusals().empty());
}

TEST_F(GatewayTest, OldEpochsDrainByItsOwnClock) {
  StartInHome();
  const GroupHeader before = Header(devices_[0]);
  upstream_.Place({home_.Commit()});  // says that it is of 1970
  Await([&] { return gateway_->GetStats().lan.epoch == 1; }, "the epoch");
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(*device->Enqueue(Group(before, 0, "queued before")));
  EXPECT_TRUE(witness.refusals().empty());
  Stop();  // also after a restart
  Start();
  AwaitBelonging();
  witness.AwaitDurable(*device->Enqueue(Group(before, 1, "queued before")));
  EXPECT_TRUE(witness.refusals().empty());
  clock_.Advance(absl::Hours(24 * 31));
  witness.AwaitDurable(*device->Enqueue(Group(before, 2, "too late")));
  EXPECT_EQ(witness.refusals().size(), 1u);
}

TEST_F(GatewayTest, WhatWasParkedIsTriedAgainWhenTheRosterChanges) {
  StartInHome();
  upstream_.Refuse("r1", absl::StatusCode::kPermissionDenied);
  upstream_.Refuse("r2", absl::StatusCode::kPermissionDenied);
  upstream_.Refuse("r3", absl::StatusCode::kAlreadyExists);
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 4));
  Await(
      [&] {
        clock_.Advance(absl::Seconds(1));
        return gateway_->GetStats().up.outbox.parked == 3;
      },
      "parked");
  Await([&] { return Events(SecurityEventKind::kConflict) == 1; }, "an event about r3");
  Stop();  // a restart remembers them
  Start();
  AwaitBelonging();
  upstream_.Accept("r1");
  const int refused = upstream_.refusals("r2");
  const int final_ones = upstream_.refusals("r3");
  upstream_.Place({home_.Commit()});
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 3);
  Await([&] { return upstream_.refusals("r2") > refused; }, "one more try");
  upstream_.Accept("r2");
  upstream_.Place({home_.Commit()});
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 4);
  EXPECT_EQ(upstream_.refusals("r3"), final_ones);
  // A row goes a moment after its acknowledgement: each of the two rosters may find that of r1 still there
  // and send it once more, which the next hop recognises.
  EXPECT_LE(upstream_.duplicates, 2u);
}

}  // namespace
}  // namespace keystead::testing
