#include "core/member/keyring_link.h"

#include <gtest/gtest.h>

#include "tests/unit/member/test_owner.h"

namespace keystead::testing {
namespace {

class KeyringLinkTest : public ::testing::Test {
 protected:
  KeyringLinkTest() : device_("sensor", "spiffe://acme.keystead.example/device/device-1") {}

  // Pairs the device; its member has read nothing yet.
  void Pair() {
    owner_.Commit({}, &hop_);
    self_ = owner_.Pair(*device_.responder, device_.label(), device_.boot, absl::Seconds(1), &hop_);
    const JoinResponder::Offer& offer = *device_.responder->offer();
    Member::Identity identity;
    identity.tenant = TestTenant();
    identity.id = offer.id;
    identity.self = offer.self;
    identity.ik = device_.ik.Clone();
    identity.k = offer.k.Clone();
    identity.join = JoinSecret(offer.join.secret().Clone());
    identity.owner_ckt = owner_.member().identity().owner_ckt;
    member_ = std::make_unique<Member>(std::move(identity));
  }

  std::unique_ptr<KeyringLink> Follow(const SubscriberTopic& start = {.topic = Topic::Keyring()}) {
    KeyringLink::Options options;
    options.channel = hop_.DialAs(Role::kDevice);
    options.tenant = TestTenant();
    options.id = owner_.id();
    options.start = start;
    options.executor = &executor_;
    options.mutex = &mutex_;
    options.member = member_.get();
    options.on_effect = [this](KeyringEffect effect) { effects_.push_back(effect); };
    options.on_caught_up = [this] { ++caught_up_; };
    options.backoff = QuickBackoff();
    auto link = std::make_unique<KeyringLink>(options);
    link->Start();
    return link;
  }
  // Pairs the device and lets it follow until it belongs; the position it came to.
  SubscriberTopic JoinAndStop() {
    Pair();
    const auto link = Follow();
    EXPECT_TRUE(Eventually([&] { return Count(KeyringEffect::kEpoch) == 1; }));
    link->Stop();
    return link->Position();
  }
  size_t Count(KeyringEffect effect) {
    absl::MutexLock lock(&mutex_);
    return static_cast<size_t>(std::ranges::count(effects_, effect));
  }

  MemberHop hop_;
  TestOwner owner_;
  TestDevice device_;
  MemberId self_;
  std::unique_ptr<Member> member_;
  Executor executor_{2};
  absl::Mutex mutex_;
  std::vector<KeyringEffect> effects_;
  std::atomic<int> caught_up_ = 0;
};

TEST_F(KeyringLinkTest, CommitsAndProbesComeInOrderAndARemovalEndsIt) {
  Pair();
  const auto link = Follow();
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kEpoch) == 1; }));
  for (int i = 0; i < 20; ++i) owner_.SendProbe(hop_);
  owner_.Commit({}, &hop_);
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kEpoch) == 2; }));
  EXPECT_EQ(Count(KeyringEffect::kProbe), 20u);
  owner_.Remove(self_, &hop_);
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kRemoved) == 1; }));
  link->Stop();
  absl::MutexLock lock(&mutex_);
  EXPECT_FALSE(member_->belongs());
}

TEST_F(KeyringLinkTest, GoesOnWhereItWasAfterTheHopWasAway) {
  Pair();
  const auto link = Follow();
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kEpoch) == 1; }));
  hop_.Stop();
  hop_.Start();
  owner_.Commit({}, &hop_);
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kEpoch) == 2; }));
}

TEST_F(KeyringLinkTest, APositionOfAnEarlierRunSparesWhatLiesBefore) {
  Pair();
  for (int i = 0; i < 5; ++i) owner_.SendProbe(hop_);
  auto link = Follow();
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kProbe) == 5; }));
  link->Stop();
  const SubscriberTopic position = link->Position();
  EXPECT_EQ(position.next_offset, 7u);
  link = Follow(position);
  owner_.SendProbe(hop_);
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kProbe) == 6; }));
  link->Stop();
  EXPECT_EQ(Count(KeyringEffect::kProbe), 6u);
  // From the first entry, every probe counts again.
  link = Follow();
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kProbe) == 12; }));
}

// As a hop leaves it that swallows commits, or puts junk in their place, and goes on counting.
TEST_F(KeyringLinkTest, CommitsThatTheHopSwallowedAreFoundOnceALaterOneShows) {
  SubscriberTopic position = JoinAndStop();
  owner_.Commit({}, &hop_);
  owner_.Commit({}, &hop_);
  position.next_offset += 2;
  const auto link = Follow(position);
  owner_.Commit({}, &hop_);
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kEpoch) == 4; }));
  owner_.SendProbe(hop_);
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kProbe) == 1; }));
  link->Stop();
  EXPECT_EQ(link->Position().next_offset, position.next_offset + 2) << "read to the end once more";
  absl::MutexLock lock(&mutex_);
  EXPECT_EQ(member_->chain().epoch(), owner_.member().chain().epoch());
}

// The owner asks whether it is alive, in an epoch that nobody told it of.
TEST_F(KeyringLinkTest, AProbeOfALaterEpochShowsItTooThatACommitWasSwallowed) {
  SubscriberTopic position = JoinAndStop();
  owner_.Commit({}, &hop_);
  ++position.next_offset;
  const auto link = Follow(position);
  owner_.SendProbe(hop_);
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kEpoch) == 2; }));
  ASSERT_TRUE(Eventually([&] { return Count(KeyringEffect::kProbe) == 1; })) << "and it is answered";
}

TEST_F(KeyringLinkTest, StopWaitsForWhatRunsAndMayComeAtAnyTime) {
  Pair();
  for (int i = 0; i < 50; ++i) owner_.SendProbe(hop_);
  for (int i = 0; i < 10; ++i) {
    auto link = Follow();
    if (i % 2 == 0) {
      ASSERT_TRUE(Eventually([&] { return caught_up_ > 0; }));
    }
    link->Stop();
    const size_t seen = [&] {
      absl::MutexLock lock(&mutex_);
      return effects_.size();
    }();
    link->Stop();
    absl::MutexLock lock(&mutex_);
    EXPECT_EQ(effects_.size(), seen);
  }
}

}  // namespace
}  // namespace keystead::testing
