// A reader among attackers: hops without keys, other readers who hold the sender's key, members who speak for
// others.
#include <gtest/gtest.h>

#include "core/cose/encrypt0.h"
#include "core/crypto/hash.h"
#include "core/sealing/reader.h"
#include "tests/unit/sealing/test_reader.h"

namespace keystead {
namespace {

using Kind = SecurityEventKind;

class HostileTest : public testing::Test, public ReaderWorld {};

TEST_F(HostileTest, HeadersAloneCostNothing) {
  sender->Open();
  for (int i = 0; i < 200; ++i) {
    StreamPlace place = sender->place();
    place.stream = world.random.NewId<StreamId>();
    reader->Accept(place, 0, sender->records[0]);
    place.sender = world.random.NewId<MemberId>();
    reader->Accept(place, 0, sender->records[0]);
  }
  EXPECT_TRUE(reader->Status().empty());
  EXPECT_TRUE(reader->KnownSenders().empty());
  EXPECT_TRUE(notes.records.empty());
  EXPECT_EQ(notes.Alarms(Kind::kOpenFailed), 400u);
}

TEST_F(HostileTest, NothingMovesToAnotherPlace) {
  sender->Open();
  sender->Readings();
  Give(0);
  const StreamPlace place = sender->place();
  std::vector<StreamPlace> others(6, place);
  others[0].tenant = TenantName::Parse("other.keystead.example").value();
  others[1].id = InstantiationId();
  others[2].topic = Topic::Of(TopicKind::kState, device->id());
  others[3].sender = world.owner.id();
  others[4].epoch = 0;
  others[5].stream = StreamId();
  for (const StreamPlace& other : others) reader->Accept(other, 1, sender->records[1]);
  reader->Accept(place, 2, sender->records[1]);
  reader->Accept(place, 0, sender->records[1]);
  EXPECT_EQ(notes.records.size(), 1u);
  EXPECT_EQ(notes.Alarms(Kind::kOpenFailed), 8u);
  Give(1);
  EXPECT_EQ(notes.records.size(), 2u) << "none of it did any harm";
}

TEST_F(HostileTest, NoBitOfARecordCanChange) {
  sender->Open();
  Give(0);
  sender->Readings();
  for (size_t i = 0; i < sender->records[1].size(); ++i) {
    Bytes bad = sender->records[1];
    bad[i] ^= 1;
    reader->Accept(sender->place(), 1, bad);
  }
  EXPECT_EQ(notes.Alarms(Kind::kOpenFailed), sender->records[1].size());
  EXPECT_EQ(Status().refused, sender->records[1].size());
  Give(1);
  EXPECT_EQ(notes.records.size(), 2u);
}

// A reader of the topic holds the sender's key. What it seals in the sender's name stays pending.
TEST_F(HostileTest, ForgedReadingsAreNeverConfirmed) {
  sender->Open();
  Give(0);
  sender->Readings("true");
  reader->Accept(sender->place(), 1, Forge(sender->place(), 1, "false"));
  EXPECT_EQ(notes.records.back().body, "false");
  EXPECT_FALSE(notes.records.back().confirmed);
  Give(1);
  EXPECT_EQ(notes.Alarms(Kind::kConflict), 1u);
  EXPECT_EQ(notes.records.size(), 2u);
  Give(sender->Checkpoint());
  const auto at = std::pair(sender->place().stream, uint64_t{1});
  EXPECT_FALSE(notes.confirmed.contains(at)) << "what was shown at 1 is not what the sender signed";
  EXPECT_TRUE(notes.confirmed.contains(std::pair(sender->place().stream, uint64_t{0})));
  ASSERT_EQ(notes.records.size(), 4u);
  const auto genuine = std::ranges::find_if(notes.records, [](const Heard& r) { return r.replaces; });
  ASSERT_NE(genuine, notes.records.end());
  EXPECT_EQ(genuine->body, "true");
  EXPECT_EQ(genuine->sequence, 1u);
  EXPECT_EQ(genuine->sealed, crypto::Sha256(sender->records.at(1)));
  EXPECT_TRUE(genuine->confirmed);
  EXPECT_FALSE(Status().broken);
  Give(1);
  EXPECT_EQ(notes.duplicates, 1u) << "the genuine record is the known one now";
}

TEST_F(HostileTest, SeveralForgeriesInOneSegmentAreToldApart) {
  sender->Open();
  Give(0);
  for (uint64_t s = 1; s <= 6; ++s) {
    sender->Readings("true");
    if (s % 2 == 0) reader->Accept(sender->place(), s, Forge(sender->place(), s, "false"));
    Give(s);
  }
  Give(sender->Checkpoint());
  EXPECT_EQ(notes.confirmed.size(), 4u);
  EXPECT_EQ(std::ranges::count_if(notes.records, [](const Heard& r) { return r.replaces; }), 3);
  EXPECT_FALSE(Status().broken);
}

TEST_F(HostileTest, TheGenuineRecordMayComeAfterTheCheckpoint) {
  sender->Open();
  Give(0);
  sender->Readings("true");
  reader->Accept(sender->place(), 1, Forge(sender->place(), 1, "false"));
  Give(sender->Checkpoint());
  EXPECT_EQ(notes.Alarms(Kind::kHashChainBroken), 1u);
  EXPECT_TRUE(notes.confirmed.empty());
  Give(1);
  EXPECT_EQ(notes.confirmed.size(), 1u);
  EXPECT_TRUE(notes.records.back().replaces);
  EXPECT_EQ(notes.records.back().body, "true");
}

TEST_F(HostileTest, AForgeryThatComesSecondChangesNothing) {
  sender->Open();
  sender->Readings("true");
  GiveAll();
  for (int i = 0; i < 10; ++i)
    reader->Accept(sender->place(), 1, Forge(sender->place(), 1, "false" + std::to_string(i)));
  EXPECT_EQ(notes.Alarms(Kind::kConflict), 10u);
  Give(sender->Checkpoint());
  EXPECT_EQ(notes.confirmed.size(), 2u);
  EXPECT_EQ(notes.records.size(), 3u);
}

TEST_F(HostileTest, ASignedKindNeedsTheSendersOwnSignature) {
  sender->Open();
  Give(0);
  const TestMember thief = MakeTestMember(world.random);
  SignedPlace place;
  place.tenant = world.tenant;
  place.id = world.id;
  place.topic = telemetry;
  place.sender = device->id();
  place.stream = sender->place().stream;
  place.epoch = 1;
  place.sequence = 1;
  const Checkpoint lie{1, Digest(), sender->Fresh(), true};
  RecordCipher cipher =
      RecordCipher::Create(world.owner.ring().SenderKeyFor(1, telemetry, device->id()).value(),
                           sender->place())
          .value();
  const auto give = [&](const crypto::EcdsaKeyPair& ik, std::string_view kind, ByteView payload) {
    Bytes out;
    ASSERT_TRUE(cipher.Seal(1, EncodeContent(kind, SignObject(ik, kind, place, payload).value()), out).ok());
    reader->Accept(sender->place(), 1, out);
  };
  give(thief.ik, kinds::kCheckpoint, EncodeCheckpoint(lie));
  EXPECT_EQ(notes.Alarms(Kind::kSignatureInvalid), 1u);
  EXPECT_FALSE(Status().ended);
  // The sender itself, but malformed, or not where it may stand.
  give(device->keys.ik, kinds::kCheckpoint, AsBytes("junk"));
  give(device->keys.ik, kinds::kCheckpoint, EncodeCheckpoint({2, Digest(), sender->Fresh(), false}));
  give(device->keys.ik, kinds::kOpening, EncodeOpening({std::nullopt, sender->Fresh()}));
  give(device->keys.ik, kinds::kCommand, AsBytes("x"));
  give(device->keys.ik, kinds::kAnswer, AsBytes("x"));
  give(device->keys.ik, "unheard of", AsBytes("x"));
  EXPECT_EQ(notes.Alarms(Kind::kMalformed), 6u);
  EXPECT_EQ(notes.records.size(), 1u);
}

TEST_F(HostileTest, AStreamBeginsWithItsOpening) {
  sender->Open();
  reader->Accept(sender->place(), 0, Forge(sender->place(), 0, "false"));
  EXPECT_TRUE(notes.records.empty());
  EXPECT_EQ(notes.Alarms(Kind::kMalformed), 1u);
  Give(0);
  EXPECT_EQ(notes.records.size(), 1u);
}

// Stream ids are public: whoever writes elsewhere could use one first.
TEST_F(HostileTest, AStreamIdTakenByAnotherSenderIsStillItsOwners) {
  Party& thief = world.AddDevice();
  const Topic topic = Topic::Of(TopicKind::kTelemetry, thief.id());
  world.known_senders = {};
  sender->Open();  // in the new epoch
  StreamPlace place{world.tenant, world.id, topic, thief.id(), 2, sender->place().stream};
  RecordCipher cipher =
      RecordCipher::Create(thief.ring().SenderKeyFor(2, topic, thief.id()).value(), place).value();
  Bytes squat;
  ASSERT_TRUE(cipher.Seal(1, EncodeContent(kinds::kReadings, AsBytes("x")), squat).ok());
  reader->Accept(place, 1, squat);
  GiveAll();
  EXPECT_EQ(notes.deliveries.count({sender->place().stream, 0}), 1u);
  EXPECT_TRUE(Status().opened);
}

TEST_F(HostileTest, NobodySpeaksOfTheStreamsOfOthers) {
  sender->Open();
  sender->Readings();
  GiveAll();
  const StreamPlace victim = sender->place();
  const PreviousStream lie{victim.stream, PreviousStream::End{7, Digest()}};
  Party& thief = world.AddDevice();
  reader->MembershipChanged();
  TestSender other(world, thief, Topic::Of(TopicKind::kTelemetry, thief.id()));
  other.Open(lie);
  other.Signed(kinds::kLoss, EncodeLoss({victim.stream, 0, 1, "refused"}));
  GiveAll(other);
  Wait(limits_.gap_grace);
  Wait(limits_.gap_grace);
  EXPECT_TRUE(notes.missing.empty());
  EXPECT_TRUE(StatusOf(victim).losses.empty());
  EXPECT_FALSE(StatusOf(victim).broken);
  EXPECT_FALSE(StatusOf(victim).cloned);
}

TEST_F(HostileTest, OneSenderCannotTakeTheRoomOfOthers) {
  limits_.max_streams = 40;
  limits_.max_streams_per_sender = 8;
  NewReader();
  Party& thief = world.AddDevice();
  const Topic topic = Topic::Of(TopicKind::kTelemetry, thief.id());
  TestSender flood(world, thief, topic);
  for (int i = 0; i < 100; ++i) {
    flood.Open(PreviousStream{world.random.NewId<StreamId>(), std::nullopt});
    GiveAll(flood);
  }
  EXPECT_LE(reader->Status().size(), 9u);
  sender->Open();
  GiveAll();
  EXPECT_TRUE(Status().opened);
}

TEST_F(HostileTest, ForgedStreamsCannotLockOutTheSendersOwn) {
  for (int i = 0; i < 100; ++i) {
    StreamPlace place{world.tenant, world.id, telemetry, device->id(), 1, world.random.NewId<StreamId>()};
    reader->Accept(place, 1, Forge(place, 1, "false"));
  }
  EXPECT_EQ(reader->Status().size(), limits_.max_unsigned_streams);
  EXPECT_GT(notes.Alarms(Kind::kLimitExceeded), 0u);
  sender->Open();
  sender->Readings();
  GiveAll();
  EXPECT_EQ(notes.deliveries.count({sender->place().stream, 1}), 1u);
  EXPECT_TRUE(Status().current);
}

TEST_F(HostileTest, AFarSequenceCostsLittleAndTheStreamGoesOn) {
  sender->Open();
  sender->Readings();
  Give(0);
  const uint64_t last = limits_.records_per_stream - 1;
  reader->Accept(sender->place(), last + 1, Forge(sender->place(), last + 1, "x"));
  reader->Accept(sender->place(), ~uint64_t{0}, Forge(sender->place(), ~uint64_t{0}, "x"));
  EXPECT_EQ(notes.Alarms(Kind::kLimitExceeded), 2u);
  EXPECT_TRUE(notes.missing.empty());
  reader->Accept(sender->place(), last, Forge(sender->place(), last, "x"));
  EXPECT_EQ(notes.missing, (std::vector<SequenceRange>{{1, last - 1}}));
  Give(1);
  Give(sender->Checkpoint());
  EXPECT_EQ(notes.confirmed.size(), 2u) << "filled, and confirmed all the same";
}

TEST_F(HostileTest, NothingFollowsASignedEnd) {
  sender->Open();
  sender->Checkpoint(true);
  reader->Accept(sender->place(), 3, Forge(sender->place(), 3, "before the end was known"));
  GiveAll();
  reader->Accept(sender->place(), 2, Forge(sender->place(), 2, "false"));
  EXPECT_EQ(notes.records.size(), 2u);
  EXPECT_EQ(notes.Alarms(Kind::kConflict), 2u);
}

TEST_F(HostileTest, AnOldStreamHeldBackDoesNotBecomeCurrent) {
  sender->Open();
  const StreamPlace old = sender->place();
  const Bytes old_opening = sender->records[0];
  world.clock.Advance(absl::Seconds(10));
  sender->Reopen();
  GiveAll();
  EXPECT_TRUE(Status().current);
  const auto word = reader->LastWord(device->id())->freshness.uptime;
  reader->Accept(old, 0, old_opening);
  EXPECT_TRUE(Status().current);
  EXPECT_FALSE(StatusOf(old).current);
  EXPECT_EQ(reader->LastWord(device->id())->freshness.uptime, word);
}

TEST_F(HostileTest, AnAncestorHeldBackDoesNotBecomeCurrentEither) {
  sender->Open();
  const StreamPlace first = sender->place();
  const Bytes first_opening = sender->records[0];
  world.clock.Advance(absl::Seconds(10));
  sender->Reopen();
  const StreamPlace second = sender->place();
  const Bytes second_opening = sender->records[0];
  world.clock.Advance(absl::Seconds(10));
  sender->boot = world.random.NewId<BootId>();  // another start: uptimes do not compare
  sender->Reopen();
  GiveAll();
  reader->Accept(first, 0, first_opening);
  reader->Accept(second, 0, second_opening);
  EXPECT_TRUE(Status().current) << "the chain of predecessors says so";
}

TEST_F(HostileTest, StreamsReadToTheirEndAreForgottenButNotReplayed) {
  std::vector<std::pair<StreamPlace, std::vector<Bytes>>> old;
  std::optional<PreviousStream> previous;
  for (int i = 0; i < 20; ++i) {
    sender->Open(previous);
    sender->Readings();
    sender->Checkpoint(true);
    GiveAll();
    old.emplace_back(sender->place(), sender->records);
    previous = sender->writer->AsPrevious();
    reader->Tick();
  }
  EXPECT_EQ(reader->Status().size(), 1u) << "the current one";
  const size_t records = notes.records.size();
  EXPECT_EQ(records, 60u);
  for (const auto& [place, contents] : old) {
    for (uint64_t s = 0; s < contents.size(); ++s) reader->Accept(place, s, contents[s]);
    Bytes bad = contents[1];
    bad.back() ^= 1;
    reader->Accept(place, 1, bad);
    reader->Accept(place, 3, Forge(place, 3, "false"));
  }
  EXPECT_EQ(notes.records.size(), records);
  EXPECT_EQ(notes.duplicates, 60u);
  EXPECT_EQ(notes.Alarms(Kind::kOpenFailed), 20u);
  EXPECT_EQ(notes.Alarms(Kind::kConflict), 20u);
}

TEST_F(HostileTest, WhatIsHeldBackIsBounded) {
  limits_.max_held_bytes = 10'000;
  NewReader();
  sender->Open();
  for (int i = 0; i < 50; ++i) sender->Readings(std::string(1000, 'x'));
  for (uint64_t s = 50; s >= 2; --s) Give(s);
  EXPECT_FALSE(notes.missing.empty());
  Give(0);
  Give(1);
  Wait(limits_.gap_grace);
  EXPECT_EQ(notes.records.size(), 51u);
  for (const auto& [at, count] : notes.deliveries) EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace keystead
