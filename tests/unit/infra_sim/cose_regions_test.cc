#include "infra-sim/cose_regions.h"

#include <gtest/gtest.h>

#include "core/cose/encrypt0.h"
#include "core/cose/sign1.h"
#include "tests/unit/infra_sim/fixtures.h"

namespace keystead::infra {
namespace {

constexpr v1::AttackTarget kRegions[] = {v1::TARGET_COSE_PROTECTED, v1::TARGET_COSE_KID,
                                         v1::TARGET_COSE_PARTIAL_IV, v1::TARGET_COSE_CIPHERTEXT,
                                         v1::TARGET_COSE_TAG};

// The content of each region of an object, to compare which of them differ.
std::vector<std::string> Contents(std::string_view cose) {
  const auto r = LocateRegions(cose);
  if (!r.has_value()) return {};
  std::vector<std::string> out;
  for (const auto& span : {r->protected_header, r->kid, r->partial_iv, r->ciphertext, r->tag}) {
    out.emplace_back(span.has_value() ? cose.substr(span->begin, span->size) : std::string_view("none"));
  }
  return out;
}

TEST(CoseRegionsTest, LocatesWhatTheStrictParserReads) {
  const std::string cose = SealedCose(300);
  const auto strict = cose::ParseEncrypt0(AsBytes(cose));
  ASSERT_TRUE(strict.ok());
  const auto contents = Contents(cose);
  ASSERT_EQ(contents.size(), 5u);
  EXPECT_EQ(contents[0], ToString(strict->protected_bytes));
  EXPECT_EQ(contents[1], ToString(strict->kid));
  EXPECT_EQ(contents[2], ToString(strict->partial_iv));
  EXPECT_EQ(contents[3] + contents[4], ToString(strict->ciphertext));
  EXPECT_EQ(contents[4].size(), 16u);
}

TEST(CoseRegionsTest, ModifyChangesExactlyTheRegionAndStaysCbor) {
  for (const uint64_t sequence : {0u, 1u, 255u, 256u, 70000u}) {
    const std::string cose = SealedCose(sequence);
    for (size_t target = 0; target < 5; ++target) {
      for (uint64_t seed = 0; seed < 40; ++seed) {
        SeededRandom random(seed);
        const auto changed = ModifyRegion(cose, kRegions[target], random);
        ASSERT_TRUE(changed.has_value());
        EXPECT_TRUE(IsCbor(*changed));
        const auto before = Contents(cose), after = Contents(*changed);
        ASSERT_EQ(after.size(), 5u);
        for (size_t i = 0; i < 5; ++i)
          EXPECT_EQ(before[i] != after[i], i == target) << i << " for " << target;
        if (kRegions[target] != v1::TARGET_COSE_PARTIAL_IV) {
          EXPECT_EQ(changed->size(), cose.size());
        }
        if (target == 0) {
          EXPECT_TRUE(IsCbor(after[0]));
        }
      }
    }
  }
}

TEST(CoseRegionsTest, ModifiedPartialIvIsStillMinimalAndReadByTheStrictParser) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SeededRandom random(seed);
    const auto changed = ModifyRegion(SealedCose(200), v1::TARGET_COSE_PARTIAL_IV, random);
    ASSERT_TRUE(changed.has_value());
    const auto parsed = cose::ParseEncrypt0(AsBytes(*changed));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_NE(parsed->sequence, 200u);
  }
}

TEST(CoseRegionsTest, ModifiesTheSign1OfAKeyringRecord) {
  const std::string cose = SignedCose();
  for (const size_t target : {0u, 1u, 3u, 4u}) {
    SeededRandom random(target);
    const auto changed = ModifyRegion(cose, kRegions[target], random);
    ASSERT_TRUE(changed.has_value()) << target;
    const auto before = Contents(cose), after = Contents(*changed);
    ASSERT_EQ(after.size(), 5u);
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(before[i] != after[i], i == target);
    EXPECT_TRUE(IsCbor(*changed));
  }
  SeededRandom random(1);
  EXPECT_FALSE(ModifyRegion(cose, v1::TARGET_COSE_PARTIAL_IV, random).has_value());
}

TEST(CoseRegionsTest, ShortenedObjectsStayCborAndLoseTheRightEnd) {
  for (const std::string& cose : {SealedCose(9, "a longer plaintext than most"), SignedCose()}) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
      SeededRandom random(seed);
      const auto cut = ShortenRegion(cose, v1::TARGET_COSE_TAG, random);
      ASSERT_TRUE(cut.has_value());
      EXPECT_LT(cut->size(), cose.size());
      EXPECT_TRUE(IsCbor(*cut));
      EXPECT_TRUE(LocateRegions(*cut).has_value());
      const auto shorter = ShortenRegion(cose, v1::TARGET_COSE_CIPHERTEXT, random);
      ASSERT_TRUE(shorter.has_value());
      const auto before = Contents(cose), after = Contents(*shorter);
      ASSERT_EQ(after.size(), 5u);
      EXPECT_EQ(before[0], after[0]);
      EXPECT_LT(after[3].size(), before[3].size());
      EXPECT_EQ(before[4], after[4]);
    }
  }
}

TEST(CoseRegionsTest, FindsNothingInWhatIsNoObject) {
  SeededRandom random(1);
  for (const std::string& bytes :
       {std::string(), std::string("\x80"), std::string("not cbor"), std::string(64, '\xff')}) {
    EXPECT_FALSE(LocateRegions(bytes).has_value());
    for (const auto target : kRegions) EXPECT_FALSE(ModifyRegion(bytes, target, random).has_value());
    EXPECT_FALSE(ShortenRegion(bytes, v1::TARGET_COSE_TAG, random).has_value());
  }
  const std::string cose = SealedCose(5);
  for (size_t size = 0; size < cose.size(); ++size) {
    EXPECT_FALSE(LocateRegions(cose.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(LocateRegions(cose + "x").has_value());
}

TEST(CoseRegionsTest, SurvivesArbitraryBytes) {
  SeededRandom random(99);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = round % 2 == 0 ? SealedCose(5) : std::string(Below(random, 60), '\0');
    if (round % 2 == 0) {
      bytes[Below(random, bytes.size())] = static_cast<char>(Below(random, 256));
    } else {
      for (char& c : bytes) c = static_cast<char>(Below(random, 256));
    }
    for (const auto target : kRegions) {
      const auto changed = ModifyRegion(bytes, target, random);
      if (changed.has_value()) {
        EXPECT_NE(*changed, bytes);
      }
    }
  }
}

}  // namespace
}  // namespace keystead::infra
