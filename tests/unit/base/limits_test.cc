#include "core/base/limits.h"

#include "gtest/gtest.h"

namespace keystead {
namespace {

// A bigger thing must be able to hold one of the smaller it is made of, or a legal record could never travel.
TEST(LimitsTest, NestIntoEachOther) {
  EXPECT_LT(limits::kMaxRecordBytes, limits::kMaxGroupBytes);
  EXPECT_LT(limits::kMaxGroupBytes, limits::kMaxMessageBytes);
  EXPECT_LT(limits::kMaxCommitBytes, limits::kMaxMessageBytes);
  EXPECT_LT(limits::kMailboxBytes, limits::kMaxMessageBytes);
}

// docs/protocol.md, "Streams": 2^24 records, 2^36 bytes, 24 h; a checkpoint every 64 records or 10 s.
TEST(LimitsTest, StreamLimitsAreTheProfiles) {
  const limits::StreamLimits limits;
  EXPECT_EQ(limits.records, 16777216u);
  EXPECT_EQ(limits.bytes, 68719476736u);
  EXPECT_EQ(limits.age, absl::Hours(24));
  EXPECT_EQ(limits.checkpoint_records, 64u);
  EXPECT_EQ(limits.checkpoint_interval, absl::Seconds(10));
  EXPECT_LE(limits.checkpoint_records, limits::kReplayWindowRecords);
}

}  // namespace
}  // namespace keystead
