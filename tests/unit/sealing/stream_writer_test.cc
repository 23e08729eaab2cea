#include "core/sealing/stream_writer.h"

#include <gtest/gtest.h>

#include <set>

#include "core/crypto/hash.h"
#include "tests/unit/sealing/test_reader.h"

namespace keystead {
namespace {

class WriterTest : public testing::Test, public ReaderWorld {
 protected:
  void Limit(uint64_t records, uint64_t bytes = 1 << 20, absl::Duration age = absl::Hours(24)) {
    limits::StreamLimits limits;
    limits.records = records;
    limits.bytes = bytes;
    limits.age = age;
    limits.checkpoint_records = 4;
    sender = std::make_unique<TestSender>(world, *device, telemetry, limits);
  }
  absl::StatusCode TrySeal(size_t size = 10) {
    Bytes out;
    return sender->writer->Seal(kinds::kReadings, Bytes(size, 1), out).status().code();
  }
};

constexpr auto kFull = absl::StatusCode::kResourceExhausted;

TEST_F(WriterTest, NewStreamIdEveryTime) {
  std::set<StreamId> ids;
  for (int i = 0; i < 50; ++i) {
    sender->Open();
    EXPECT_TRUE(ids.insert(sender->place().stream).second);
  }
}

TEST_F(WriterTest, SequencesAndRunningHash) {
  sender->Open();
  Digest h = InitialRunningHash(sender->place());
  h = NextRunningHash(h, crypto::Sha256(sender->records[0]));
  for (uint64_t s = 1; s < 5; ++s) {
    EXPECT_EQ(sender->writer->next_sequence(), s);
    EXPECT_EQ(sender->Readings(), s);
    h = NextRunningHash(h, crypto::Sha256(sender->records[s]));
  }
  const PreviousStream previous = sender->writer->AsPrevious();
  EXPECT_EQ(previous.stream, sender->place().stream);
  EXPECT_EQ(previous.end->last_sequence, 4u);
  EXPECT_EQ(previous.end->hash, h);
}

TEST_F(WriterTest, LimitsLeaveRoomForTheClosingCheckpoint) {
  Limit(8);
  sender->Open();
  while (!sender->writer->Exhausted()) sender->Readings();
  EXPECT_EQ(sender->writer->next_sequence(), 7u);
  EXPECT_EQ(TrySeal(), kFull);
  Bytes out;
  EXPECT_EQ(sender->writer->SealSigned(kinds::kLoss, AsBytes("x"), out).status().code(), kFull)
      << "nor anything signed";
  EXPECT_EQ(sender->Checkpoint(true), 7u);
  EXPECT_EQ(TrySeal(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(out.empty());
}

TEST_F(WriterTest, ByteAndAgeLimits) {
  Limit(1000, 10'000);
  sender->Open();
  EXPECT_EQ(TrySeal(9'000), kFull) << "would leave no room for the closing checkpoint";
  EXPECT_EQ(TrySeal(3'000), absl::StatusCode::kOk);
  EXPECT_EQ(TrySeal(3'000), kFull);
  Limit(1000, 1 << 20, absl::Hours(1));
  sender->Open();
  world.clock.Advance(absl::Hours(1) - absl::Seconds(1));
  EXPECT_EQ(TrySeal(), absl::StatusCode::kOk);
  world.clock.Advance(absl::Seconds(1));
  EXPECT_EQ(TrySeal(), kFull);
  sender->Checkpoint(true);
}

TEST_F(WriterTest, RefusesSillyLimitsAndTooLongRecords) {
  Bytes out;
  const auto open = StreamWriter::Open({world.tenant, world.id, telemetry, device->id(), 1, {.records = 1}},
                                       SenderKey(SecretBytes(32)), device->keys.ik,
                                       {std::nullopt, sender->Fresh()}, world.clock, world.random, out);
  EXPECT_EQ(open.status().code(), absl::StatusCode::kInvalidArgument);
  sender->Open();
  EXPECT_EQ(TrySeal(limits::kMaxRecordBytes), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TrySeal(limits::kMaxRecordBytes - 256), absl::StatusCode::kOk);
}

TEST_F(WriterTest, UnsignedRecordsAreReadingsInTelemetryOnly) {
  sender->Open();
  Bytes out;
  EXPECT_FALSE(sender->writer->Seal(kinds::kCheckpoint, AsBytes("x"), out).ok());
  EXPECT_FALSE(sender->writer->SealSigned(kinds::kCheckpoint, AsBytes("x"), out).ok());
  EXPECT_FALSE(sender->writer->SealSigned(kinds::kOpening, AsBytes("x"), out).ok());
  TestSender state(world, *device, Topic::Of(TopicKind::kState, device->id()));
  state.Open();
  EXPECT_FALSE(state.writer->Seal(kinds::kReadings, AsBytes("x"), out).ok());
  EXPECT_TRUE(out.empty());
}

TEST_F(WriterTest, CheckpointCadence) {
  Limit(1000);
  sender->Open();
  EXPECT_FALSE(sender->writer->CheckpointDue());
  for (int i = 0; i < 4; ++i) sender->Readings();
  EXPECT_TRUE(sender->writer->CheckpointDue()) << "records";
  sender->Checkpoint();
  EXPECT_FALSE(sender->writer->CheckpointDue());
  EXPECT_EQ(sender->writer->UntilCheckpoint(), absl::Seconds(10));
  world.clock.Advance(absl::Seconds(10));
  EXPECT_TRUE(sender->writer->CheckpointDue()) << "time, also when idle";
}

// Small limits, so that rekeying happens a hundred times in every run.
TEST_F(WriterTest, AReaderFollowsFromStreamToStream) {
  Limit(10);
  sender->Open();
  size_t sealed = 0;
  for (int i = 0; i < 800; ++i) {
    if (sender->writer->Exhausted()) {
      sender->Checkpoint(true);
      GiveAll();
      sealed += sender->records.size();
      sender->Reopen();
    }
    sender->Readings();
    if (sender->writer->CheckpointDue() && !sender->writer->Exhausted()) sender->Checkpoint();
  }
  GiveAll();
  sealed += sender->records.size();
  EXPECT_EQ(notes.records.size(), sealed);
  EXPECT_TRUE(notes.alarms.empty());
  EXPECT_TRUE(notes.missing.empty());
  reader->Tick();
  EXPECT_LE(reader->Status().size(), 2u);
}

}  // namespace
}  // namespace keystead
