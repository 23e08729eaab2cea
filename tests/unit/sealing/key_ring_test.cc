#include "core/sealing/key_ring.h"

#include <gtest/gtest.h>

#include "core/base/random.h"

namespace keystead {
namespace {

class KeyRingTest : public testing::Test {
 protected:
  EpochSecret Secret() { return EpochSecret(random_.Secret(kSecretBytes)); }
  Grant TopicGrant() { return {topic_, std::nullopt, random_.Secret(kSecretBytes)}; }
  Grant OwnGrant() { return {state_, self_, random_.Secret(kSecretBytes)}; }
  static std::string Hex(const absl::StatusOr<SenderKey>& key) {
    return key.ok() ? ToHex(key->secret().ExposeSecret()) : "none";
  }

  SeededRandom random_{4};
  const InstantiationId id_ = random_.NewId<InstantiationId>();
  const MemberId self_ = random_.NewId<MemberId>();
  const MemberId other_ = random_.NewId<MemberId>();
  const Topic topic_ = Topic::Of(TopicKind::kTelemetry, other_);
  const Topic state_ = Topic::Of(TopicKind::kState, self_);
  KeyRing ring_{id_};
};

TEST_F(KeyRingTest, AnEmptyRingHasNothing) {
  EXPECT_FALSE(ring_.has_epoch());
  EXPECT_EQ(Hex(ring_.SenderKeyFor(0, topic_, other_)), "none");
  EXPECT_FALSE(ring_.TopicKeyFor(topic_).ok());
}

TEST_F(KeyRingTest, AFullMemberDerivesEverythingOfTheEpoch) {
  ASSERT_TRUE(ring_.EnterEpoch(3, Secret(), {}).ok());
  EXPECT_TRUE(ring_.is_full_member());
  EXPECT_TRUE(ring_.SenderKeyFor(3, topic_, other_).ok());
  EXPECT_TRUE(ring_.SenderKeyFor(3, state_, self_).ok());
  EXPECT_FALSE(ring_.SenderKeyFor(2, topic_, other_).ok());
  EXPECT_FALSE(ring_.SenderKeyFor(4, topic_, other_).ok());
}

TEST_F(KeyRingTest, ALimitedMemberHasExactlyItsGrants) {
  std::vector<Grant> grants;
  grants.push_back(TopicGrant());
  grants.push_back(OwnGrant());
  ASSERT_TRUE(ring_.EnterGrants(3, std::move(grants), {}).ok());
  EXPECT_FALSE(ring_.is_full_member());
  EXPECT_TRUE(ring_.SenderKeyFor(3, topic_, other_).ok());
  EXPECT_TRUE(ring_.SenderKeyFor(3, topic_, self_).ok())
      << "whoever reads a topic could derive any sender's key";
  EXPECT_TRUE(ring_.SenderKeyFor(3, state_, self_).ok());
  EXPECT_FALSE(ring_.SenderKeyFor(3, state_, other_).ok());
  EXPECT_FALSE(ring_.TopicKeyFor(state_).ok()) << "writing is no reading";
}

TEST_F(KeyRingTest, AnEpochLeftKeepsTheKnownSendersOnly) {
  ASSERT_TRUE(ring_.EnterEpoch(3, Secret(), {}).ok());
  const std::string kept = Hex(ring_.SenderKeyFor(3, topic_, other_));
  ASSERT_TRUE(ring_.EnterEpoch(4, Secret(), {{topic_, other_}}).ok());
  EXPECT_EQ(Hex(ring_.SenderKeyFor(3, topic_, other_)), kept);
  EXPECT_NE(Hex(ring_.SenderKeyFor(4, topic_, other_)), kept);
  EXPECT_FALSE(ring_.SenderKeyFor(3, topic_, self_).ok());
  EXPECT_FALSE(ring_.SenderKeyFor(3, state_, self_).ok());
  ring_.DropSender(3, topic_, other_);
  EXPECT_FALSE(ring_.SenderKeyFor(3, topic_, other_).ok());
}

TEST_F(KeyRingTest, TheKeyForOnesOwnWritingGoesWithItsEpoch) {
  std::vector<Grant> grants;
  grants.push_back(OwnGrant());
  ASSERT_TRUE(ring_.EnterGrants(3, std::move(grants), {}).ok());
  ASSERT_TRUE(ring_.EnterGrants(4, {}, {}).ok());
  EXPECT_FALSE(ring_.SenderKeyFor(3, state_, self_).ok())
      << "who captures the device later reads nothing old";
}

TEST_F(KeyRingTest, ForgetBefore) {
  for (uint64_t n = 0; n < 4; ++n) ASSERT_TRUE(ring_.EnterEpoch(n, Secret(), {{topic_, other_}}).ok());
  EXPECT_EQ(ring_.ForgetBefore(2),
            (std::vector<KeyRing::SenderSlot>{{0, topic_, other_}, {1, topic_, other_}}));
  EXPECT_TRUE(ring_.ForgetBefore(2).empty());
  EXPECT_FALSE(ring_.SenderKeyFor(0, topic_, other_).ok());
  EXPECT_FALSE(ring_.SenderKeyFor(1, topic_, other_).ok());
  EXPECT_TRUE(ring_.SenderKeyFor(2, topic_, other_).ok());
}

TEST_F(KeyRingTest, WipeLeavesNoKeyButTheOrderOfEpochs) {
  ASSERT_TRUE(ring_.EnterEpoch(3, Secret(), {}).ok());
  std::vector<Grant> grants;
  grants.push_back(OwnGrant());
  grants.push_back(TopicGrant());
  ASSERT_TRUE(ring_.EnterGrants(4, std::move(grants), {{topic_, other_}}).ok());
  ASSERT_TRUE(ring_.SenderKeyFor(3, topic_, other_).ok());
  ring_.Wipe();
  EXPECT_FALSE(ring_.SenderKeyFor(3, topic_, other_).ok());
  EXPECT_FALSE(ring_.SenderKeyFor(4, state_, self_).ok());
  EXPECT_FALSE(ring_.TopicKeyFor(topic_).ok());
  EXPECT_FALSE(ring_.EnterEpoch(4, Secret(), {}).ok());
}

TEST_F(KeyRingTest, EpochsAreEnteredOnceAndInOrder) {
  ASSERT_TRUE(ring_.EnterEpoch(3, Secret(), {}).ok());
  EXPECT_FALSE(ring_.EnterEpoch(3, Secret(), {}).ok());
  EXPECT_FALSE(ring_.EnterGrants(2, {}, {}).ok());
  EXPECT_EQ(ring_.epoch(), 3u);
  EXPECT_TRUE(ring_.is_full_member());
}

TEST_F(KeyRingTest, WhoIsNoFullMemberAnyMoreHasNoEpochSecret) {
  ASSERT_TRUE(ring_.EnterEpoch(3, Secret(), {}).ok());
  ASSERT_TRUE(ring_.EnterGrants(4, {}, {}).ok());
  EXPECT_FALSE(ring_.is_full_member());
  EXPECT_FALSE(ring_.SenderKeyFor(4, topic_, other_).ok());
}

TEST_F(KeyRingTest, SerializesEverything) {
  ASSERT_TRUE(ring_.EnterEpoch(3, Secret(), {}).ok());
  ASSERT_TRUE(ring_.EnterEpoch(4, Secret(), {{topic_, other_}}).ok());
  const SecretBytes stored = ring_.Serialize();
  const auto again = KeyRing::Parse(id_, stored);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(Hex(again->SenderKeyFor(3, topic_, other_)), Hex(ring_.SenderKeyFor(3, topic_, other_)));
  EXPECT_EQ(Hex(again->SenderKeyFor(4, topic_, self_)), Hex(ring_.SenderKeyFor(4, topic_, self_)));
  std::vector<Grant> grants;
  grants.push_back(TopicGrant());
  ASSERT_TRUE(ring_.EnterGrants(5, std::move(grants), {}).ok());
  const auto limited = KeyRing::Parse(id_, ring_.Serialize());
  ASSERT_TRUE(limited.ok());
  EXPECT_FALSE(limited->is_full_member());
  EXPECT_EQ(Hex(limited->SenderKeyFor(5, topic_, other_)), Hex(ring_.SenderKeyFor(5, topic_, other_)));
  for (size_t size = 0; size < stored.size(); ++size)
    EXPECT_FALSE(KeyRing::Parse(id_, stored.Slice(0, size)).ok());
}

}  // namespace
}  // namespace keystead
