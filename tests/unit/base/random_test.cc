#include "core/base/random.h"

#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace keystead {
namespace {

// SplitMix64's published first outputs; we take the low byte of each.
TEST(SeededRandomTest, FollowsSplitMix64) {
  SeededRandom random(0);
  std::array<uint8_t, 3> bytes{};
  random.Fill(bytes);
  EXPECT_EQ(bytes, (std::array<uint8_t, 3>{0xaf, 0xf4, 0x4f}));
}

TEST(SeededRandomTest, SameSeedGivesSameSequenceHoweverItIsCut) {
  SeededRandom whole(42), parts(42), other(43);
  std::array<uint8_t, 64> a{}, b{}, c{};
  whole.Fill(a);
  parts.Fill(std::span(b).first(1));
  parts.Fill(std::span(b).subspan(1, 0));
  parts.Fill(std::span(b).subspan(1));
  other.Fill(c);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(SeededRandomTest, IdsAndSecretsAdvanceTheSequence) {
  SeededRandom random(1), again(1);
  const auto first = random.NewId<StreamId>();
  EXPECT_NE(first, random.NewId<StreamId>());
  EXPECT_EQ(first, again.NewId<StreamId>());
  const SecretBytes one = random.Secret(32);
  const SecretBytes two = random.Secret(32);
  EXPECT_EQ(one.size(), 32u);
  EXPECT_FALSE(one.ConstantTimeEquals(two));
}

TEST(SystemRandomTest, NeverRepeatsAnId) {
  std::set<StreamId> seen;
  for (int i = 0; i < 10000; ++i) ASSERT_TRUE(seen.insert(RandomSource::System().NewId<StreamId>()).second);
}

TEST(SystemRandomTest, FillsToTheLastByte) {
  for (size_t size : {size_t{1}, size_t{255}, size_t{256}, size_t{257}, size_t{70000}}) {
    Bytes bytes(size);
    bool last_seen_nonzero = false;
    for (int i = 0; i < 32 && !last_seen_nonzero; ++i) {  // wrong about once in 2^256 runs
      RandomSource::System().Fill(bytes);
      last_seen_nonzero = bytes.back() != 0;
    }
    EXPECT_TRUE(last_seen_nonzero) << size;
  }
  RandomSource::System().Fill({});
}

TEST(SystemRandomTest, ThreadsGetDifferentBytes) {
  std::vector<StreamId> ids(8);
  std::vector<std::thread> threads;
  for (auto& id : ids) threads.emplace_back([&id] { id = RandomSource::System().NewId<StreamId>(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(std::set<StreamId>(ids.begin(), ids.end()).size(), ids.size());
}

}  // namespace
}  // namespace keystead
