#include "core/membership/chain.h"

#include <gtest/gtest.h>

#include "tests/unit/membership/test_members.h"

namespace keystead {
namespace {

class ChainTest : public testing::Test {
 protected:
  ChainTest()
      : chain_(owner_.tenant, owner_.id),
        device_(MakeTestMember(owner_.random)),
        other_(MakeTestMember(owner_.random)) {}
  RosterEntry Device() { return EntryOf(device_, MemberKind::kDevice); }
  CommitBundle Zero() { return owner_.Sign(owner_.Body(nullptr, {})); }
  void Begin() { ASSERT_TRUE(chain_.Apply(Zero()).ok()); }
  absl::StatusCode Refusal(const CommitBundle& bundle) {
    const MembershipChain before = chain_;
    const auto effect = chain_.Apply(bundle);
    EXPECT_EQ(chain_.empty(), before.empty());
    if (!before.empty()) {
      EXPECT_EQ(chain_.head().hash, before.head().hash) << "a refusal changes nothing";
    }
    return effect.status().code();
  }

  TestOwner owner_;
  MembershipChain chain_;
  TestMember device_;
  TestMember other_;
};

TEST_F(ChainTest, AddsAndRemoves) {
  const auto zero = chain_.Apply(Zero());
  ASSERT_TRUE(zero.ok()) << zero.status();
  EXPECT_EQ(zero->added, std::vector{owner_.self.id});
  const auto one =
      chain_.Apply(owner_.Sign(owner_.Body(&chain_, {Device()}), {}, {owner_.AcceptanceOf(device_, 4)}));
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->added, std::vector{device_.id});
  ASSERT_EQ(one->acceptances.size(), 1u);
  EXPECT_EQ(one->acceptances[0].reset_counter, 4u);
  EXPECT_EQ(chain_.epoch(), 1u);
  EXPECT_NE(chain_.roster().Find(device_.id), nullptr);
  const auto two = chain_.Apply(owner_.Sign(owner_.Body(&chain_, {})));
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->removed, std::vector{device_.id});
  EXPECT_EQ(chain_.roster().Find(device_.id), nullptr);
  ASSERT_NE(chain_.LastKnown(device_.id), nullptr);
  EXPECT_EQ(chain_.LastKnown(other_.id), nullptr);
  ASSERT_NE(chain_.At(1), nullptr);
  EXPECT_EQ(chain_.At(3), nullptr);
  EXPECT_EQ(chain_.owner().member, owner_.self.id);
}

TEST_F(ChainTest, HeadAgainIsRepeatedWithItsOwnWrapsOnly) {
  const CommitBundle zero = Zero();
  ASSERT_TRUE(chain_.Apply(zero).ok());
  const auto again = chain_.Apply(zero);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->repeated);
  CommitBundle changed = zero;
  changed.wraps.push_back({owner_.self.id, WrapKind::kGrants, false, {1}});
  EXPECT_EQ(Refusal(changed), absl::StatusCode::kUnauthenticated);
}

TEST_F(ChainTest, FirstCommitMustBeZeroOfThisInstantiation) {
  TestOwner stranger(77);
  CommitBody body = stranger.Body(nullptr, {});
  EXPECT_EQ(Refusal(stranger.Sign(body)), absl::StatusCode::kUnauthenticated);
  body.id = owner_.id;  // the id follows from another owner
  EXPECT_EQ(Refusal(stranger.Sign(body)), absl::StatusCode::kUnauthenticated);
  body = owner_.Body(nullptr, {});
  body.tenant = TenantName::Parse("other.keystead.example").value();
  EXPECT_EQ(Refusal(owner_.Sign(body)), absl::StatusCode::kUnauthenticated);
  body = owner_.Body(nullptr, {});
  body.nonce = Digest();
  EXPECT_EQ(Refusal(owner_.Sign(body)), absl::StatusCode::kUnauthenticated);
  body = owner_.Body(nullptr, {});
  body.nonce.reset();
  body.epoch = 1;
  body.parent = Digest();
  EXPECT_EQ(Refusal(owner_.Sign(body)), absl::StatusCode::kAborted);
}

TEST_F(ChainTest, RefusesWhatIsNotTheSuccessor) {
  Begin();
  CommitBody body = owner_.Body(&chain_, {});
  body.parent = Digest();
  EXPECT_EQ(Refusal(owner_.Sign(body)), absl::StatusCode::kAborted);
  body = owner_.Body(&chain_, {});
  body.epoch = 2;
  EXPECT_EQ(Refusal(owner_.Sign(body)), absl::StatusCode::kAborted);
  TestOwner stranger(77);
  body = owner_.Body(&chain_, {});
  CommitBundle forged;
  forged.commit = SignCommit(stranger.self.ik, owner_.self.id, body, WrapsHash({})).value();
  EXPECT_EQ(Refusal(forged), absl::StatusCode::kUnauthenticated);
  body = owner_.Body(&chain_, {});
  body.recovery_ckt = owner_.random.NewId<Digest>();
  EXPECT_EQ(Refusal(owner_.Sign(body)), absl::StatusCode::kInvalidArgument) << "another recovery key";
  body = owner_.Body(&chain_, {});
  body.roster = Roster::Create({Device()}).value();
  EXPECT_EQ(Refusal(owner_.Sign(body, {}, {owner_.AcceptanceOf(device_)})),
            absl::StatusCode::kInvalidArgument)
      << "a roster without its owner";
}

TEST_F(ChainTest, ASecondFullMemberDoesNotCommit) {
  Begin();
  ASSERT_TRUE(chain_
                  .Apply(owner_.Sign(owner_.Body(&chain_, {EntryOf(other_, MemberKind::kOwner)}), {},
                                     {owner_.AcceptanceOf(other_)}))
                  .ok());
  CommitBody body = owner_.Body(&chain_, {EntryOf(other_, MemberKind::kOwner)});
  body.owner_ckt = cose::Ckt(other_.ik.public_key());
  CommitBundle bundle;
  bundle.commit = SignCommit(other_.ik, other_.id, body, WrapsHash({})).value();
  EXPECT_EQ(Refusal(bundle), absl::StatusCode::kUnauthenticated);
}

TEST_F(ChainTest, TwoCommitsWithOneParentAreAForkAlsoBelowTheHead) {
  Begin();
  CommitBody one = owner_.Body(&chain_, {});
  CommitBody other = one;
  other.time += 1;
  ASSERT_TRUE(chain_.Apply(owner_.Sign(one)).ok());
  EXPECT_EQ(Refusal(owner_.Sign(other)), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(chain_.Apply(owner_.Sign(owner_.Body(&chain_, {}))).ok());
  ASSERT_TRUE(chain_.Apply(owner_.Sign(owner_.Body(&chain_, {}))).ok());
  EXPECT_EQ(Refusal(owner_.Sign(other)), absl::StatusCode::kAlreadyExists) << "deep below the head";
  CommitBody zero = owner_.Body(nullptr, {});
  zero.time += 1;
  EXPECT_EQ(Refusal(owner_.Sign(zero)), absl::StatusCode::kAlreadyExists) << "a second commit 0";
}

TEST_F(ChainTest, AnOlderCommitAgainIsNotAFork) {
  const CommitBundle zero = Zero();
  ASSERT_TRUE(chain_.Apply(zero).ok());
  ASSERT_TRUE(chain_.Apply(owner_.Sign(owner_.Body(&chain_, {}))).ok());
  EXPECT_EQ(Refusal(zero), absl::StatusCode::kAborted);
}

TEST_F(ChainTest, NobodyIsAddedWithoutConsent) {
  Begin();
  const CommitBody body = owner_.Body(&chain_, {Device()});
  EXPECT_EQ(Refusal(owner_.Sign(body)), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Refusal(owner_.Sign(body, {}, {owner_.AcceptanceOf(other_)})),
            absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Refusal(owner_.Sign(body, {}, {Bytes{1}})), absl::StatusCode::kUnauthenticated);
  const Digest ckt = cose::Ckt(device_.ik.public_key());
  const auto with = [&](Acceptance a, const crypto::EcdsaKeyPair& ik) {
    return Refusal(owner_.Sign(body, {}, {SignAcceptance(ik, a).value()}));
  };
  const Acceptance good{owner_.tenant, owner_.id, ckt, owner_.ckt(), 0, Digest()};
  Acceptance bad = good;
  bad.tenant = TenantName::Parse("other.keystead.example").value();
  EXPECT_EQ(with(bad, device_.ik), absl::StatusCode::kUnauthenticated);
  bad = good;
  bad.id = InstantiationId();
  EXPECT_EQ(with(bad, device_.ik), absl::StatusCode::kUnauthenticated);
  bad = good;
  bad.owner_ckt = Digest();
  EXPECT_EQ(with(bad, device_.ik), absl::StatusCode::kUnauthenticated) << "it consented to somebody else";
  EXPECT_EQ(with(good, other_.ik), absl::StatusCode::kUnauthenticated) << "somebody else signed";
  EXPECT_TRUE(chain_.Apply(owner_.Sign(body, {}, {SignAcceptance(device_.ik, good).value()})).ok());
}

// The list of acceptances is not under the owner's signature: whoever carries the bundle may add to it.
TEST_F(ChainTest, AcceptancesThatNobodyNeedsAreRefused) {
  Begin();
  const Bytes genuine = owner_.AcceptanceOf(device_, 2);
  const Digest ckt = cose::Ckt(device_.ik.public_key());
  const Bytes forged =
      SignAcceptance(other_.ik, {owner_.tenant, owner_.id, ckt, owner_.ckt(), 9, Digest()}).value();
  const CommitBody adding = owner_.Body(&chain_, {Device()});
  for (const Bytes& junk : {forged, owner_.AcceptanceOf(other_), genuine, Bytes{1}}) {
    EXPECT_EQ(Refusal(owner_.Sign(adding, {}, {genuine, junk})), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Refusal(owner_.Sign(adding, {}, {junk, genuine})), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Refusal(owner_.Sign(owner_.Body(&chain_, {}), {}, {junk})), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Refusal(owner_.Sign(adding, {}, {forged})), absl::StatusCode::kUnauthenticated);
  const auto effect = chain_.Apply(owner_.Sign(adding, {}, {genuine}));
  ASSERT_TRUE(effect.ok()) << effect.status();
  EXPECT_EQ(effect->acceptances.at(0).reset_counter, 2u);
  // Nor does one that is there already give it again.
  EXPECT_EQ(Refusal(owner_.Sign(owner_.Body(&chain_, {Device()}), {}, {genuine})),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ChainTest, CopiesShareTheirCommitsAndKnowMembersOfAnyEpoch) {
  Begin();
  ASSERT_TRUE(
      chain_.Apply(owner_.Sign(owner_.Body(&chain_, {Device()}), {}, {owner_.AcceptanceOf(device_)})).ok());
  ASSERT_TRUE(chain_.Apply(owner_.Sign(owner_.Body(&chain_, {}))).ok());
  auto first = std::make_unique<MembershipChain>(chain_);
  const MembershipChain copy = *first;
  EXPECT_EQ(copy.At(1), chain_.At(1));
  first.reset();
  chain_ = MembershipChain(owner_.tenant, owner_.id);
  ASSERT_NE(copy.LastKnown(device_.id), nullptr);
  EXPECT_EQ(copy.LastKnown(device_.id)->transport, Device().transport);
  EXPECT_EQ(copy.LastKnown(other_.id), nullptr);
}

TEST_F(ChainTest, ACourierNeedsNoConsentAndGetsNoWrap) {
  Begin();
  const CommitBody body = owner_.Body(&chain_, {EntryOf(other_, MemberKind::kCourier)});
  EXPECT_EQ(Refusal(owner_.Sign(body, {{other_.id, WrapKind::kGrants, false, {1}}})),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(owner_.Sign(body, {{device_.id, WrapKind::kGrants, false, {1}}})),
            absl::StatusCode::kInvalidArgument)
      << "a wrap for a stranger";
  EXPECT_TRUE(chain_.Apply(owner_.Sign(body)).ok());
}

TEST_F(ChainTest, AMemberIdIsNeverGivenToSomebodyElse) {
  Begin();
  ASSERT_TRUE(
      chain_.Apply(owner_.Sign(owner_.Body(&chain_, {Device()}), {}, {owner_.AcceptanceOf(device_)})).ok());
  RosterEntry taken = EntryOf(other_, MemberKind::kDevice);
  taken.member = device_.id;
  EXPECT_EQ(Refusal(owner_.Sign(owner_.Body(&chain_, {taken}), {}, {owner_.AcceptanceOf(other_)})),
            absl::StatusCode::kInvalidArgument);
  RosterEntry raised = Device();
  raised.kind = MemberKind::kOwner;
  EXPECT_EQ(Refusal(owner_.Sign(owner_.Body(&chain_, {raised}))), absl::StatusCode::kInvalidArgument);
  // Also not after it was removed: records of the two would be told apart by epoch alone.
  ASSERT_TRUE(chain_.Apply(owner_.Sign(owner_.Body(&chain_, {}))).ok());
  EXPECT_EQ(Refusal(owner_.Sign(owner_.Body(&chain_, {taken}), {}, {owner_.AcceptanceOf(other_)})),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keystead
