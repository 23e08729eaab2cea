#include "core/sealing/content.h"

#include <gtest/gtest.h>

#include "core/base/random.h"
#include "core/cose/cbor.h"

namespace keystead {
namespace {

class ContentTest : public testing::Test {
 protected:
  Freshness Fresh(size_t echoes) {
    Freshness f;
    f.commit_hash = random_.NewId<Digest>();
    f.boot = random_.NewId<BootId>();
    f.uptime = absl::Milliseconds(123456);
    f.time = -1;
    f.hseq = 7;
    for (size_t i = 0; i < echoes; ++i)
      f.echoes.push_back({random_.NewId<MemberId>(), random_.NewId<ProbeNonce>()});
    return f;
  }
  // No prefix and no extension of `encoded` parses.
  template <class Parse>
  static void ExpectExact(const Bytes& encoded, Parse parse) {
    EXPECT_TRUE(parse(encoded).ok());
    for (size_t size = 0; size < encoded.size(); ++size)
      EXPECT_FALSE(parse(ByteView(encoded).first(size)).ok());
    Bytes longer = encoded;
    longer.push_back(0);
    EXPECT_FALSE(parse(longer).ok());
  }
  SeededRandom random_{5};
};

TEST_F(ContentTest, OpeningRoundTrip) {
  const StreamId before = random_.NewId<StreamId>();
  const std::optional<PreviousStream> previous[] = {
      std::nullopt, PreviousStream{before, std::nullopt},
      PreviousStream{before, PreviousStream::End{99, random_.NewId<Digest>()}}};
  for (const auto& p : previous) {
    const Opening opening{p, Fresh(2)};
    const Bytes bytes = EncodeOpening(opening);
    const auto read = ParseOpening(bytes);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->previous, p);
    EXPECT_EQ(read->freshness, opening.freshness);
    ExpectExact(bytes, [](ByteView b) { return ParseOpening(b); });
  }
}

TEST_F(ContentTest, OpeningTellsNoEndOfNoStream) {
  Bytes bytes = EncodeOpening({PreviousStream{random_.NewId<StreamId>(), PreviousStream::End{}}, Fresh(0)});
  bytes.erase(bytes.begin() + 1, bytes.begin() + 1 + 17);
  bytes.insert(bytes.begin() + 1, 0xf6);
  EXPECT_FALSE(ParseOpening(bytes).ok());
}

TEST_F(ContentTest, CheckpointRoundTrip) {
  const Checkpoint checkpoint{64, random_.NewId<Digest>(), Fresh(kMaxEchoedProbes), true};
  const Bytes bytes = EncodeCheckpoint(checkpoint);
  const auto read = ParseCheckpoint(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->count, 64u);
  EXPECT_EQ(read->hash, checkpoint.hash);
  EXPECT_EQ(read->freshness, checkpoint.freshness);
  EXPECT_TRUE(read->end);
  ExpectExact(bytes, [](ByteView b) { return ParseCheckpoint(b); });
  EXPECT_FALSE(ParseCheckpoint(EncodeCheckpoint({64, Digest(), Fresh(kMaxEchoedProbes + 1), true})).ok());
}

TEST_F(ContentTest, NegativeUptimeIsRefused) {
  cose::CborWriter w;
  w.Array(10)
      .Uint(1)
      .Bstr(Digest().view())
      .Bstr(Digest().view())
      .Bstr(BootId().view())
      .Int(-1)
      .Null()
      .Uint(0);
  w.Array(0).Bool(false).Null();
  EXPECT_FALSE(ParseCheckpoint(w.bytes()).ok());
}

TEST_F(ContentTest, LossRoundTrip) {
  const Loss loss{random_.NewId<StreamId>(), 3, 9, "journal full"};
  const Bytes bytes = EncodeLoss(loss);
  const auto read = ParseLoss(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->stream, loss.stream);
  EXPECT_EQ(read->last_sequence, 9u);
  EXPECT_EQ(read->reason, "journal full");
  ExpectExact(bytes, [](ByteView b) { return ParseLoss(b); });
  EXPECT_FALSE(ParseLoss(EncodeLoss({loss.stream, 4, 3, ""})).ok());
  EXPECT_FALSE(ParseLoss(EncodeLoss({loss.stream, 3, 3, std::string(65, 'x')})).ok());
}

}  // namespace
}  // namespace keystead
