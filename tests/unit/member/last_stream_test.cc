#include "core/member/last_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cose/cbor.h"

namespace keystead {
namespace {

SenderMemory Example() {
  SenderMemory memory;
  memory.previous = PreviousStream{RandomSource::System().NewId<StreamId>(),
                                   PreviousStream::End{41, RandomSource::System().NewId<Digest>()}};
  memory.losses.push_back({memory.previous->stream, 3, 9, "journal full"});
  return memory;
}

TEST(LastStreamTest, ComesBackWithinOneBootOfTheKernel) {
  const SenderMemory memory = Example();
  const auto back = ParseSenderMemory(EncodeSenderMemory(memory, false));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->previous, memory.previous);
  ASSERT_EQ(back->losses.size(), 1u);
  EXPECT_EQ(back->losses[0].first_sequence, 3u);
  EXPECT_EQ(back->losses[0].last_sequence, 9u);
  EXPECT_EQ(back->losses[0].reason, "journal full");
}

// A row written before the power was cut may be older than what was sent.
TEST(LastStreamTest, AnotherBootOfTheKernelLeavesTheEndUnknownUnlessItWasSynced) {
  const SenderMemory memory = Example();
  for (const bool synced : {false, true}) {
    cose::CborWriter w;
    w.Array(2).Array(2).Bstr(memory.previous->stream.view()).Array(4).Uint(41);
    w.Bstr(memory.previous->end->hash.view()).Text("another-boot").Bool(synced).Array(0);
    const auto back = ParseSenderMemory(AsChars(w.bytes()));
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_TRUE(back->previous.has_value());
    EXPECT_EQ(back->previous->stream, memory.previous->stream);
    EXPECT_EQ(back->previous->end.has_value(), synced);
  }
}

TEST(LastStreamTest, UnknownEndAndNoStreamComeBack) {
  SenderMemory memory = Example();
  memory.previous->end.reset();
  EXPECT_EQ(ParseSenderMemory(EncodeSenderMemory(memory, true))->previous, memory.previous);
  EXPECT_FALSE(ParseSenderMemory(EncodeSenderMemory({}, true))->previous.has_value());
}

TEST(LastStreamTest, RefusesWhatIsTruncatedOrExtended) {
  const std::string row = EncodeSenderMemory(Example(), true);
  for (size_t i = 0; i < row.size(); ++i) EXPECT_FALSE(ParseSenderMemory(row.substr(0, i)).ok()) << i;
  EXPECT_FALSE(ParseSenderMemory(row + "x").ok());
}

}  // namespace
}  // namespace keystead
