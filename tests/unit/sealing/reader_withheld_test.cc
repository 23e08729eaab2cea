// Hops that withhold a whole stream: the next one tells.
#include <gtest/gtest.h>

#include "core/sealing/reader.h"
#include "tests/unit/sealing/test_reader.h"

namespace keystead {
namespace {

using Kind = SecurityEventKind;
using Ranges = std::vector<SequenceRange>;

class WithheldTest : public testing::Test, public ReaderWorld {
 protected:
  struct Kept {
    StreamPlace place;
    std::vector<Bytes> records;
  };
  Kept Keep() const { return {sender->place(), sender->records}; }
  void GiveKept(const Kept& kept) {
    for (uint64_t s = 0; s < kept.records.size(); ++s) reader->Accept(kept.place, s, kept.records[s]);
  }
  // One stream that is read, and one of five records that is not.
  Kept OneReadOneWithheld() {
    sender->Open();
    sender->Readings();
    GiveAll();
    sender->Reopen();
    for (int i = 0; i < 3; ++i) sender->Readings();
    sender->Checkpoint(true);
    return Keep();
  }
  void Restart() {
    const Bytes snapshot = reader->Snapshot();
    NewReader();
    ASSERT_TRUE(reader->Restore(snapshot).ok());
    EXPECT_EQ(reader->Snapshot(), snapshot);
  }
  void ExpectFilled(const Kept& withheld) {
    for (uint64_t s = 0; s < withheld.records.size(); ++s) {
      EXPECT_EQ((notes.deliveries[{withheld.place.stream, s}]), 1) << s;
      EXPECT_EQ((notes.confirmed[{withheld.place.stream, s}]), 1) << s;
    }
    EXPECT_TRUE(StatusOf(withheld.place).missing.empty());
    EXPECT_FALSE(StatusOf(withheld.place).awaited);
  }
};

TEST_F(WithheldTest, AWholeStreamIsMissingAndFilledWhenItComes) {
  const Kept withheld = OneReadOneWithheld();
  sender->Reopen();
  GiveAll();
  Wait(limits_.gap_grace - absl::Milliseconds(1));
  EXPECT_TRUE(notes.missing.empty()) << "it has the whole grace";
  EXPECT_TRUE(StatusOf(withheld.place).awaited);
  Wait(absl::Milliseconds(1));
  EXPECT_EQ(notes.missing, (Ranges{{0, 4}}));
  EXPECT_EQ(StatusOf(withheld.place).missing, (Ranges{{0, 4}}));
  EXPECT_EQ(notes.Alarms(Kind::kMissing), 1u);
  GiveKept(withheld);
  ExpectFilled(withheld);
  for (const Heard& record : notes.records) {
    EXPECT_EQ(record.filled, record.stream == withheld.place.stream);
  }
  EXPECT_TRUE(Status().current) << "the one that came late is not the newest";
  EXPECT_EQ(notes.missing.size(), 1u);
  EXPECT_EQ(notes.alarms.size(), 1u);
}

TEST_F(WithheldTest, ItMayComeWithinTheGrace) {
  const Kept withheld = OneReadOneWithheld();
  sender->Reopen();
  GiveAll();
  GiveKept(withheld);
  Wait(limits_.gap_grace);
  ExpectFilled(withheld);
  EXPECT_TRUE(notes.alarms.empty());
}

TEST_F(WithheldTest, WhatIsLeftOutOfItWhenItComesStaysMissing) {
  const Kept withheld = OneReadOneWithheld();
  sender->Reopen();
  GiveAll();
  Wait(limits_.gap_grace);
  for (const uint64_t s : {0u, 2u, 3u}) reader->Accept(withheld.place, s, withheld.records[s]);
  EXPECT_EQ(StatusOf(withheld.place).missing, (Ranges{{1, 1}, {4, 4}}));
  reader->Accept(withheld.place, 5, Forge(withheld.place, 5, "beyond"));
  EXPECT_EQ(notes.Alarms(Kind::kConflict), 1u) << "the opening of the next has told where it ended";
}

TEST_F(WithheldTest, AStreamOfAnEarlierEpochToo) {
  const Kept withheld = OneReadOneWithheld();
  const PreviousStream previous = sender->writer->AsPrevious();
  world.known_senders = reader->KnownSenders();
  world.NewEpoch();
  reader->MembershipChanged();
  sender->Open(previous);
  GiveAll();
  Wait(limits_.gap_grace);
  EXPECT_EQ(notes.missing, (Ranges{{0, 4}}));
  EXPECT_TRUE(reader->SpentKeys().empty()) << "its key is still needed";
  GiveKept(withheld);
  ExpectFilled(withheld);
}

TEST_F(WithheldTest, WhatWasBeforeTheReadersTimeIsNotMissing) {
  sender->Open();
  sender->Reopen();
  const Kept second = Keep();
  sender->Reopen();
  GiveAll();
  GiveKept(second);  // handed out in the wrong order: now this one is the earliest
  Wait(limits_.gap_grace);
  EXPECT_TRUE(notes.missing.empty());
  EXPECT_TRUE(notes.alarms.empty());
}

TEST_F(WithheldTest, IsRememberedOverARestart) {
  const Kept withheld = OneReadOneWithheld();
  Restart();
  sender->Reopen();
  GiveAll();
  Restart();
  Wait(limits_.gap_grace);
  EXPECT_EQ(notes.missing, (Ranges{{0, 4}}));
  Restart();
  Wait(limits_.gap_grace);
  EXPECT_EQ(notes.missing.size(), 1u) << "said once";
  EXPECT_EQ(StatusOf({withheld.place}).missing, (Ranges{{0, 4}}));
  GiveKept(withheld);
  ExpectFilled(withheld);
}

TEST_F(WithheldTest, MoreThanIsWaitedForIsStillSaid) {
  limits_.max_streams_per_sender = 4;
  NewReader();
  sender->Open();
  GiveAll();
  for (int i = 0; i < 20; ++i) {
    const PreviousStream previous{world.random.NewId<StreamId>(), PreviousStream::End{9, Digest()}};
    sender->Open(previous);
    GiveAll();
    Wait(limits_.gap_grace);
  }
  EXPECT_LE(reader->Status().size(), 2 * limits_.max_streams_per_sender);
  EXPECT_EQ(notes.missing, Ranges(20, {0, 9}));
}

TEST_F(WithheldTest, WhatWasNotReadBeforeItsKeyWentIsSaidWhenTheNextStreamTells) {
  sender->Open();
  for (int i = 0; i < 4; ++i) sender->Readings();
  for (const uint64_t s : {0u, 1u}) Give(s);
  const PreviousStream previous = sender->writer->AsPrevious();
  world.known_senders = reader->KnownSenders();
  world.NewEpoch();
  world.owner.member->ring().ForgetBefore(2);
  reader->MembershipChanged();
  EXPECT_TRUE(notes.missing.empty()) << "nobody has told yet that there was more";
  Restart();
  sender->Open(previous);
  GiveAll();
  EXPECT_EQ(notes.missing, (Ranges{{2, 4}}));
}

TEST_F(WithheldTest, AStreamReadToItsEndIsNotMissingWhenItsKeyIsGone) {
  sender->Open();
  sender->Readings();
  sender->Checkpoint(true);
  GiveAll();
  const PreviousStream previous = sender->writer->AsPrevious();
  world.known_senders = reader->KnownSenders();
  world.NewEpoch();
  world.owner.member->ring().ForgetBefore(2);
  reader->MembershipChanged();
  sender->Open(previous);
  GiveAll();
  Wait(limits_.gap_grace);
  EXPECT_TRUE(notes.missing.empty());
  EXPECT_TRUE(notes.alarms.empty());
}

}  // namespace
}  // namespace keystead
