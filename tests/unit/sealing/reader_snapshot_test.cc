#include <gtest/gtest.h>

#include "core/sealing/reader.h"
#include "tests/unit/sealing/test_reader.h"

namespace keystead {
namespace {

using Kind = SecurityEventKind;

class SnapshotTest : public testing::Test, public ReaderWorld {
 protected:
  void Restart() {
    const Bytes snapshot = reader->Snapshot();
    NewReader();
    ASSERT_TRUE(reader->Restore(snapshot).ok());
    EXPECT_EQ(reader->Snapshot(), snapshot) << "a second restart knows as much";
  }
};

TEST_F(SnapshotTest, NothingIsDeliveredTwiceAndNothingIsLost) {
  sender->Open();
  for (int i = 0; i < 9; ++i) sender->Readings();
  for (const uint64_t s : {0u, 1u, 2u, 5u}) Give(s);
  Restart();
  EXPECT_EQ(Status().received, 3u) << "what is held back must come again";
  GiveAll();
  EXPECT_EQ(notes.records.size(), 10u);
  for (const auto& [at, count] : notes.deliveries) EXPECT_EQ(count, 1) << at.second;
  EXPECT_EQ(notes.duplicates, 3u);
  Give(sender->Checkpoint());
  EXPECT_EQ(notes.confirmed.size(), 10u);
}

TEST_F(SnapshotTest, GapsAndWhatWaitsForThemAreRemembered) {
  sender->Open();
  for (int i = 0; i < 3; ++i) sender->Readings();
  sender->Checkpoint();
  for (const uint64_t s : {0u, 2u, 3u, 4u}) Give(s);
  Wait(limits_.gap_grace);
  ASSERT_EQ(Status().missing.size(), 1u);
  Restart();
  EXPECT_EQ(Status().missing, (std::vector<SequenceRange>{{1, 1}}));
  Give(1);
  EXPECT_TRUE(notes.records.back().filled);
  EXPECT_EQ(notes.confirmed.size(), 4u);
}

TEST_F(SnapshotTest, AProviderThatRollsBackIsFoundAlsoAfterARestart) {
  sender->Open();
  sender->Readings();
  GiveAll();
  Restart();
  EXPECT_TRUE(Status().current);
  reader->BeginPass(telemetry);
  Give(0);
  reader->CaughtUp(telemetry);
  EXPECT_EQ(notes.Alarms(Kind::kProviderRolledBack), 1u);
}

TEST_F(SnapshotTest, ClonesAreFoundAfterTwoRestarts) {
  sender->Open();
  GiveAll();
  const PreviousStream previous = sender->writer->AsPrevious();
  sender->Open(previous);
  GiveAll();
  Restart();
  Restart();
  sender->Open(previous);
  GiveAll();
  EXPECT_EQ(notes.Alarms(Kind::kClonedOrRolledBack), 1u);
  EXPECT_TRUE(Status().cloned);
  Restart();
  EXPECT_TRUE(Status().cloned);
}

TEST_F(SnapshotTest, AnHonestSecondStreamIsNoCloneAfterTwoRestarts) {
  sender->Open();
  GiveAll();
  sender->Reopen();
  GiveAll();
  Restart();
  Restart();
  sender->Reopen();
  GiveAll();
  EXPECT_EQ(notes.Alarms(Kind::kClonedOrRolledBack), 0u);
}

TEST_F(SnapshotTest, StreamsReadToTheirEndStayRead) {
  sender->Open();
  sender->Readings();
  sender->Checkpoint(true);
  GiveAll();
  const StreamPlace old = sender->place();
  const std::vector<Bytes> records = sender->records;
  sender->Reopen();
  GiveAll();
  reader->Tick();
  ASSERT_EQ(reader->Status().size(), 1u);
  Restart();
  const size_t before = notes.records.size();
  for (uint64_t s = 0; s < records.size(); ++s) reader->Accept(old, s, records[s]);
  EXPECT_EQ(notes.records.size(), before);
}

TEST_F(SnapshotTest, DamageIsNoticed) {
  sender->Open();
  sender->Readings();
  GiveAll();
  const Bytes snapshot = reader->Snapshot();
  for (size_t size = 0; size < snapshot.size(); ++size) {
    NewReader();
    EXPECT_EQ(reader->Restore(ByteView(snapshot).first(size)).code(), absl::StatusCode::kDataLoss);
  }
  Bytes longer = snapshot;
  longer.push_back(0);
  NewReader();
  EXPECT_FALSE(reader->Restore(longer).ok());
}

}  // namespace
}  // namespace keystead
