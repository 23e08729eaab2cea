// What a reader concludes of honest senders and of hops that lose, delay, repeat and roll back.
#include "core/sealing/reader.h"

#include <gtest/gtest.h>

#include "core/crypto/hash.h"
#include "tests/unit/sealing/test_reader.h"

namespace keystead {
namespace {

using Kind = SecurityEventKind;

class ReaderTest : public testing::Test, public ReaderWorld {};

TEST_F(ReaderTest, DeliversInOrderAndConfirmsWithTheCheckpoint) {
  sender->Open();
  sender->Readings("a");
  sender->Readings("b");
  GiveAll();
  ASSERT_EQ(notes.records.size(), 3u);
  EXPECT_EQ(notes.records[0].kind, kinds::kOpening);
  EXPECT_TRUE(notes.records[0].confirmed) << "signed itself";
  EXPECT_EQ(notes.records[1].body, "a");
  EXPECT_FALSE(notes.records[1].confirmed) << "pending";
  EXPECT_TRUE(notes.confirmed.empty());
  EXPECT_EQ(Status().pending, 3u);
  sender->Checkpoint();
  Give(3);
  EXPECT_EQ(notes.confirmed.size(), 3u);
  EXPECT_EQ(Status().confirmed, 3u);
  EXPECT_EQ(Status().pending, 1u) << "the checkpoint itself";
  EXPECT_TRUE(notes.alarms.empty());
}

TEST_F(ReaderTest, ReordersWithinTheGraceAndDeliversOnce) {
  sender->Open();
  for (int i = 0; i < 5; ++i) sender->Readings();
  for (const uint64_t s : {5u, 3u, 0u, 4u, 2u, 1u, 3u}) Give(s);
  EXPECT_EQ(notes.Sequences(), (std::vector<uint64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(notes.duplicates, 1u);
  EXPECT_TRUE(notes.alarms.empty());
}

// So that whoever is told of a record can say which sealed object it was.
TEST_F(ReaderTest, EachRecordIsToldWithTheDigestOfItsSealedForm) {
  sender->Open();
  for (int i = 0; i < 5; ++i) sender->Readings();
  for (const uint64_t s : {0u, 3u, 1u, 2u, 5u, 4u}) Give(s);  // in order, and held back
  ASSERT_EQ(notes.records.size(), 6u);
  for (const Heard& heard : notes.records)
    EXPECT_EQ(heard.sealed, crypto::Sha256(sender->records.at(heard.sequence))) << heard.sequence;
}

TEST_F(ReaderTest, MissingAfterTheGraceAndFilledLater) {
  sender->Open();
  for (int i = 0; i < 5; ++i) sender->Readings();
  sender->Checkpoint();
  Give(0);
  for (const uint64_t s : {1u, 4u, 5u, 6u}) Give(s);
  Wait(limits_.gap_grace - absl::Milliseconds(1));
  EXPECT_TRUE(notes.missing.empty());
  Wait(absl::Milliseconds(1));
  EXPECT_EQ(notes.missing, (std::vector<SequenceRange>{{2, 3}}));
  EXPECT_EQ(Status().missing, (std::vector<SequenceRange>{{2, 3}}));
  EXPECT_EQ(notes.Alarms(Kind::kMissing), 1u);
  EXPECT_EQ(notes.Sequences(), (std::vector<uint64_t>{0, 1, 4, 5, 6}));
  EXPECT_TRUE(notes.confirmed.empty()) << "the checkpoint covers what is missing too";
  Give(3);
  EXPECT_TRUE(notes.records.back().filled);
  EXPECT_TRUE(notes.confirmed.empty());
  Give(2);
  EXPECT_EQ(notes.confirmed.size(), 6u);
  EXPECT_TRUE(Status().missing.empty());
  Give(2);
  EXPECT_EQ(notes.duplicates, 1u);
  for (const auto& [at, count] : notes.deliveries) EXPECT_EQ(count, 1) << at.second;
}

TEST_F(ReaderTest, EveryHoleHasTheWholeGrace) {
  sender->Open();
  for (int i = 0; i < 6; ++i) sender->Readings();
  Give(0);
  Give(2);
  world.clock.Advance(limits_.gap_grace - absl::Milliseconds(1));
  Give(4);
  Give(1);  // closes the first hole; 3 has been awaited for no time
  Wait(absl::Milliseconds(1));
  EXPECT_TRUE(notes.missing.empty());
  Wait(limits_.gap_grace);
  EXPECT_EQ(notes.missing, (std::vector<SequenceRange>{{3, 3}}));
}

TEST_F(ReaderTest, HolesAgeSideBySide) {
  sender->Open();
  for (int i = 0; i < 8; ++i) sender->Readings();
  for (const uint64_t s : {0u, 2u, 4u}) Give(s);
  Wait(limits_.gap_grace / 2);
  Give(7);
  Wait(limits_.gap_grace / 2);
  EXPECT_EQ(notes.missing, (std::vector<SequenceRange>{{1, 1}, {3, 3}})) << "both were awaited as long";
  EXPECT_EQ(notes.Sequences(), (std::vector<uint64_t>{0, 2, 4}));
  Wait(limits_.gap_grace / 2 - absl::Milliseconds(1));
  EXPECT_EQ(notes.missing.size(), 2u) << "what 7 told of has the whole grace of its own";
  Wait(absl::Milliseconds(1));
  EXPECT_EQ(notes.missing.back(), (SequenceRange{5, 6}));
}

TEST_F(ReaderTest, WhatComesInBetweenDoesNotProlongTheGrace) {
  sender->Open();
  for (int i = 0; i < 8; ++i) sender->Readings();
  Give(0);
  for (const uint64_t s : {7u, 6u, 5u, 4u}) {
    Give(s);
    EXPECT_TRUE(notes.missing.empty());
    Wait(limits_.gap_grace / 4);
  }
  EXPECT_EQ(notes.missing, (std::vector<SequenceRange>{{1, 3}}));
}

TEST_F(ReaderTest, TheNextOpeningTellsOfAMissingTail) {
  sender->Open();
  for (int i = 0; i < 4; ++i) sender->Readings();
  for (const uint64_t s : {0u, 1u, 3u}) Give(s);  // 2 and 4 are withheld
  const StreamPlace before = sender->place();
  sender->Reopen();
  Give(0);
  EXPECT_EQ(StatusOf(before).missing.size(), 0u);
  Wait(limits_.gap_grace);
  Wait(limits_.gap_grace);
  EXPECT_EQ(notes.missing, (std::vector<SequenceRange>{{2, 2}, {4, 4}}));
  EXPECT_FALSE(Status().tail_unknown);
  EXPECT_TRUE(Status().current);
}

TEST_F(ReaderTest, ACompleteTailIsConfirmedByTheNextOpening) {
  sender->Open();
  for (int i = 0; i < 4; ++i) sender->Readings();
  GiveAll();
  sender->Reopen();
  Give(0);
  EXPECT_EQ(notes.confirmed.size(), 5u);
}

TEST_F(ReaderTest, TailUnknownAfterAPowerCut) {
  sender->Open();
  GiveAll();
  const StreamId before = sender->place().stream;
  sender->Open(PreviousStream{before, std::nullopt});
  Give(0);
  EXPECT_TRUE(Status().tail_unknown);
  EXPECT_EQ(notes.Alarms(Kind::kTailUnknown), 1u);
}

TEST_F(ReaderTest, TwoOpeningsWithOnePredecessorAreAClone) {
  sender->Open();
  GiveAll();
  const PreviousStream previous = sender->writer->AsPrevious();
  sender->Open(previous);
  GiveAll();
  const StreamPlace one = sender->place();
  EXPECT_EQ(notes.Alarms(Kind::kClonedOrRolledBack), 0u);
  sender->Open(previous);
  GiveAll();
  EXPECT_EQ(notes.Alarms(Kind::kClonedOrRolledBack), 1u);
  EXPECT_TRUE(Status().cloned);
  EXPECT_TRUE(StatusOf(one).cloned);
}

TEST_F(ReaderTest, ASenderThatRemembersLessThanItSignedIsRolledBack) {
  sender->Open();
  sender->Readings();
  const PreviousStream early = sender->writer->AsPrevious();  // what its disk will say again
  sender->Readings();
  sender->Checkpoint();
  GiveAll();
  sender->Open(early);
  Give(0);
  EXPECT_EQ(notes.Alarms(Kind::kClonedOrRolledBack), 1u);
}

TEST_F(ReaderTest, LivenessFollowsTheOwnProbeOnly) {
  sender->Open();
  Give(0);
  EXPECT_EQ(Status().liveness, Liveness::kHistory);
  const Probe foreign{world.random.NewId<MemberId>(), world.random.NewId<ProbeNonce>()};
  const Probe invented{world.owner.id(), world.random.NewId<ProbeNonce>()};
  sender->echoes = {foreign, invented};
  Give(sender->Checkpoint());
  EXPECT_EQ(Status().liveness, Liveness::kHistory);
  const Probe probe = reader->NewProbe(world.random);
  sender->echoes = {foreign, probe};
  world.clock.Advance(absl::Seconds(20));
  Give(sender->Checkpoint());
  EXPECT_EQ(Status().liveness, Liveness::kLive);
  world.clock.Advance(absl::Seconds(11));
  EXPECT_EQ(Status().liveness, Liveness::kLate) << "age counts from when the probe was made";
  Give(sender->Checkpoint());
  EXPECT_EQ(Status().liveness, Liveness::kLate) << "the same echo again is no news";
}

TEST_F(ReaderTest, StaleWhenNothingFreshComes) {
  sender->Open();
  Give(0);
  Wait(limits_.stale_age - absl::Seconds(1));
  EXPECT_FALSE(Status().stale);
  Wait(absl::Seconds(1));
  EXPECT_TRUE(Status().stale);
  Wait(absl::Hours(1));
  EXPECT_EQ(notes.Alarms(Kind::kStale), 1u) << "said once";
  sender->Readings();
  Give(1);
  EXPECT_TRUE(Status().stale) << "pending data are no fresh word";
  Give(sender->Checkpoint());
  EXPECT_FALSE(Status().stale);
}

TEST_F(ReaderTest, AWordHeldBackIsNoNewWord) {
  sender->Open();
  sender->Checkpoint();
  world.clock.Advance(absl::Seconds(5));
  sender->Checkpoint();
  Give(0);
  Give(2);
  Wait(limits_.gap_grace);
  const auto newest = reader->LastWord(device->id());
  Wait(limits_.stale_age);
  ASSERT_TRUE(Status().stale);
  Give(1);  // withheld until now
  EXPECT_TRUE(Status().stale);
  EXPECT_EQ(reader->LastWord(device->id())->freshness.uptime, newest->freshness.uptime);
}

TEST_F(ReaderTest, AnEndedStreamIsNeverStale) {
  sender->Open();
  sender->Checkpoint(true);
  GiveAll();
  Wait(absl::Hours(2));
  EXPECT_EQ(notes.Alarms(Kind::kStale), 0u);
}

TEST_F(ReaderTest, ProviderRolledBack) {
  sender->Open();
  sender->Readings();
  sender->Readings();
  GiveAll();
  reader->BeginPass(telemetry);
  Give(0);
  Give(1);
  reader->CaughtUp(telemetry);
  EXPECT_EQ(notes.Alarms(Kind::kProviderRolledBack), 1u);
  reader->BeginPass(telemetry);
  GiveAll();
  reader->CaughtUp(telemetry);
  reader->CaughtUp(telemetry);
  EXPECT_EQ(notes.Alarms(Kind::kProviderRolledBack), 1u);
}

// The devices went on sending into the older store: its end is beyond what was seen, and a piece is gone.
TEST_F(ReaderTest, AProviderThatWasRolledBackAndHasGrownSinceIsNoticed) {
  sender->Open();
  for (int i = 0; i < 3; ++i) sender->Readings();
  GiveAll();
  for (int i = 0; i < 2; ++i) sender->Readings();
  reader->BeginPass(telemetry);
  for (const uint64_t s : {0u, 1u, 4u, 5u}) Give(s);
  reader->CaughtUp(telemetry);
  ASSERT_EQ(notes.Alarms(Kind::kProviderRolledBack), 1u);
  EXPECT_EQ(std::get<2>(notes.alarms.back()), 2u) << "the first that is gone";
}

TEST_F(ReaderTest, AProviderWithoutTheEndOfAnOlderStreamIsNoticed) {
  sender->Open();
  for (int i = 0; i < 3; ++i) sender->Readings();
  for (const uint64_t s : {0u, 2u, 3u}) Give(s);  // 1 is missing, so the stream is not read to its end
  Wait(limits_.gap_grace);
  const StreamPlace before = sender->place();
  const std::vector<Bytes> records = sender->records;
  sender->Reopen();
  Give(0);
  reader->BeginPass(telemetry);
  reader->Accept(before, 0, records[0]);
  Give(0);
  reader->CaughtUp(telemetry);
  ASSERT_EQ(notes.Alarms(Kind::kProviderRolledBack), 1u);
  EXPECT_EQ(std::get<2>(notes.alarms.back()), 2u);
}

TEST_F(ReaderTest, WhatRetentionDropsAndWhatWasNeverReadIsNoRollback) {
  sender->Open();
  for (int i = 0; i < 7; ++i) sender->Readings();
  for (const uint64_t s : {0u, 1u, 2u, 4u}) Give(s);
  Wait(limits_.gap_grace);  // 3 is missing
  Give(6);                  // 5 may yet come
  reader->BeginPass(telemetry);
  for (const uint64_t s : {2u, 4u, 6u, 7u}) Give(s);  // 0 and 1 were dropped
  reader->CaughtUp(telemetry);
  EXPECT_EQ(notes.Alarms(Kind::kProviderRolledBack), 0u);
}

// Of what came before a reader did it knows nothing, and that is no attack; what could never have been is
// one.
TEST_F(ReaderTest, WhatWasWrittenBeforeItsTimeIsPassedOverAndWhatCannotHaveBeenIsNot) {
  const uint64_t before = world.owner.chain().epoch();
  sender->Open();
  const StreamPlace early = sender->place();
  Party& late = world.AddDevice();
  Notebook heard;
  Reader reader(late.id(), limits_, &late.member->ring(), &late.chain(), &world.clock, &heard);
  StreamPlace place = early;
  ASSERT_EQ(place.epoch, before);
  reader.Accept(place, 0, Bytes(40));
  EXPECT_EQ(heard.alarms.size(), 0u) << "another device's, of then";
  place.sender = RandomSource::System().NewId<MemberId>();
  reader.Accept(place, 0, Bytes(40));
  EXPECT_EQ(heard.alarms.size(), 1u) << "of nobody who was a member";
  place = early;
  place.topic = Topic::Of(TopicKind::kCommand, late.id());
  place.sender = world.owner.id();
  reader.Accept(place, 0, Bytes(40));
  EXPECT_EQ(heard.alarms.size(), 2u) << "nobody commands who is not there yet";
  place = early;
  place.epoch = world.owner.chain().epoch();
  reader.Accept(place, 0, Bytes(40));
  EXPECT_EQ(heard.alarms.size(), 3u) << "in its own time it was not granted this";
}

TEST_F(ReaderTest, LossIsShownAtTheStreamThatLost) {
  sender->Open();
  GiveAll();
  const StreamPlace before = sender->place();
  sender->Reopen();
  sender->Signed(kinds::kLoss, EncodeLoss({before.stream, 4, 9, "journal full"}));
  GiveAll();
  EXPECT_EQ(notes.Alarms(Kind::kLossReported), 1u);
  EXPECT_EQ(StatusOf(before).losses.size(), 1u);
  EXPECT_TRUE(Status().losses.empty());
}

TEST_F(ReaderTest, SendersUnderAnotherCommitOfTheEpochAreAFork) {
  sender->Open();
  sender->records.emplace_back();
  Freshness f = sender->Fresh();
  f.commit_hash = Digest();
  sender->writer->SealCheckpoint(f, false, sender->records.back()).value();
  GiveAll();
  EXPECT_EQ(notes.Alarms(Kind::kFork), 1u);
}

TEST_F(ReaderTest, ARemovedSendersOldRecordsAreMarked) {
  sender->Open();
  sender->Readings();
  Give(0);
  world.known_senders = reader->KnownSenders();
  world.Remove(*device);
  reader->MembershipChanged();
  Give(1);
  EXPECT_FALSE(notes.records[0].after_removal);
  EXPECT_TRUE(notes.records[1].after_removal);
  sender->Reopen();  // it still has the old epoch's key
  Give(0);
  EXPECT_TRUE(notes.records[2].after_removal);
}

TEST_F(ReaderTest, KeysOfAnEpochReadToItsEndAreSpent) {
  sender->Open();
  sender->Readings();
  sender->Checkpoint(true);
  GiveAll();
  world.known_senders = reader->KnownSenders();
  const PreviousStream previous = sender->writer->AsPrevious();
  const StreamPlace old = sender->place();
  const std::vector<Bytes> old_records = sender->records;
  world.NewEpoch();
  reader->MembershipChanged();
  EXPECT_TRUE(reader->SpentKeys().empty()) << "nothing of the new epoch was read";
  sender->Open(previous);
  Give(0);
  reader->Tick();
  const std::vector<Reader::SpentKey> spent = reader->SpentKeys();
  ASSERT_EQ(spent.size(), 1u);
  EXPECT_EQ(spent[0], (Reader::SpentKey{1, telemetry, device->id()}));
  world.owner.member->ring().DropSender(1, telemetry, device->id());
  reader->MembershipChanged();
  EXPECT_TRUE(reader->SpentKeys().empty());
  const size_t records = notes.records.size();
  reader->Accept(old, 1, old_records[1]);
  EXPECT_EQ(notes.records.size(), records) << "nothing of it can be read, or replayed, any more";
}

TEST_F(ReaderTest, WhatWasNotReadWhenTheKeyGoesIsLostToRotation) {
  sender->Open();
  sender->Readings();
  sender->Readings();
  Give(0);
  Give(2);
  world.known_senders = reader->KnownSenders();
  world.NewEpoch();
  reader->MembershipChanged();
  EXPECT_EQ(notes.Alarms(Kind::kMissing), 0u);
  world.owner.member->ring().ForgetBefore(2);
  reader->MembershipChanged();
  EXPECT_EQ(notes.Alarms(Kind::kMissing), 1u);
  EXPECT_TRUE(reader->Status().empty());
}

TEST_F(ReaderTest, StateAndCommandRecordsAreSignedOneByOne) {
  TestSender state(world, *device, Topic::Of(TopicKind::kState, device->id()));
  state.Open();
  state.Signed(kinds::kReport, AsBytes("on"));
  state.Signed(kinds::kAnswer, AsBytes("x"));
  GiveAll(state);
  ASSERT_EQ(notes.records.size(), 3u);
  EXPECT_EQ(notes.records[1].body, "on");
  EXPECT_TRUE(notes.records[1].confirmed);
  Bytes out;
  EXPECT_FALSE(state.writer->Seal(kinds::kReadings, AsBytes("y"), out).ok());
  reader->Accept(state.place(), 3, Forge(state.place(), 3, "y"));
  EXPECT_EQ(notes.records.size(), 3u);
  EXPECT_EQ(notes.Alarms(Kind::kMalformed), 1u);
}

}  // namespace
}  // namespace keystead
