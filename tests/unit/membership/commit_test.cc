#include "core/membership/commit.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/cose/cbor.h"
#include "core/crypto/hash.h"
#include "tests/unit/membership/test_members.h"

namespace keystead {
namespace {

class CommitTest : public testing::Test {
 protected:
  Wrap WrapFor(const MemberId& member) { return {member, WrapKind::kGrants, true, Bytes(40, 3)}; }
  TestOwner owner_;
};

TEST_F(CommitTest, BodyRoundTripIsCanonical) {
  CommitBody body = owner_.Body(nullptr, {});
  body.recovery_ckt = owner_.random.NewId<Digest>();
  const Bytes bytes = body.Encode();
  const auto again = CommitBody::Parse(bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->Encode(), bytes);
  EXPECT_EQ(again->recovery_ckt, body.recovery_ckt);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(CommitBody::Parse(ByteView(bytes).first(size)).ok()) << size;
}

TEST_F(CommitTest, OnlyCommitZeroHasANonceAndNoParent) {
  CommitBody body = owner_.Body(nullptr, {});
  body.parent = Digest();
  EXPECT_FALSE(CommitBody::Parse(body.Encode()).ok());
  body = owner_.Body(nullptr, {});
  body.nonce.reset();
  EXPECT_FALSE(CommitBody::Parse(body.Encode()).ok());
  body = owner_.Body(nullptr, {});
  body.epoch = 1;
  EXPECT_FALSE(CommitBody::Parse(body.Encode()).ok());
  body.parent = Digest();
  EXPECT_FALSE(CommitBody::Parse(body.Encode()).ok()) << "with a nonce";
  body.nonce.reset();
  EXPECT_TRUE(CommitBody::Parse(body.Encode()).ok());
}

TEST_F(CommitTest, InstantiationIdDependsOnTenantOwnerAndNonce) {
  const InstantiationId id = DeriveInstantiationId(owner_.tenant, owner_.ckt(), owner_.nonce);
  EXPECT_EQ(
      id, *InstantiationId::FromBytes(
              crypto::Sha256(cose::EncodeArray("ks1 id", "acme.keystead.example", owner_.ckt(), owner_.nonce))
                  .view()
                  .first(16)));
  EXPECT_NE(
      id, DeriveInstantiationId(TenantName::Parse("b.keystead.example").value(), owner_.ckt(), owner_.nonce));
  EXPECT_NE(id, DeriveInstantiationId(owner_.tenant, Digest(), owner_.nonce));
  EXPECT_NE(id, DeriveInstantiationId(owner_.tenant, owner_.ckt(), Digest()));
}

TEST_F(CommitTest, BundleRoundTripIsCanonical) {
  const MemberId a = owner_.random.NewId<MemberId>();
  const CommitBundle bundle = owner_.Sign(owner_.Body(nullptr, {}), {WrapFor(a)}, {Bytes{1, 2}});
  const Bytes content = bundle.EncodeContent();
  const auto again = CommitBundle::ParseContent(content);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->EncodeContent(), content);
  EXPECT_EQ(again->CommitHash(), crypto::Sha256(bundle.commit));
  for (size_t size = 0; size < content.size(); ++size)
    EXPECT_FALSE(CommitBundle::ParseContent(ByteView(content).first(size)).ok()) << size;
  EXPECT_FALSE(CommitBundle::ParseContent(EncodeContent("head", AsBytes("x"))).ok());
}

TEST_F(CommitTest, BundleRefusesWrapsOutOfOrderTwiceOrOfUnknownKindAndLongOnes) {
  MemberId a = owner_.random.NewId<MemberId>();
  MemberId b = owner_.random.NewId<MemberId>();
  if (b < a) std::swap(a, b);
  const CommitBody body = owner_.Body(nullptr, {});
  const auto parses = [&](std::vector<Wrap> wraps) {
    return CommitBundle::ParseContent(owner_.Sign(body, std::move(wraps)).EncodeContent()).ok();
  };
  EXPECT_TRUE(parses({WrapFor(a), WrapFor(b)}));
  EXPECT_FALSE(parses({WrapFor(b), WrapFor(a)}));
  EXPECT_FALSE(parses({WrapFor(a), WrapFor(a)}));
  Wrap odd = WrapFor(a);
  odd.kind = static_cast<WrapKind>(3);
  EXPECT_FALSE(parses({odd}));
  Wrap big = WrapFor(a);
  big.sealed = Bytes(limits::kMaxCommitBytes, 0);
  EXPECT_FALSE(parses({big}));
}

TEST_F(CommitTest, VerifiesAgainstItsOwnerOnly) {
  const CommitBundle bundle = owner_.Sign(owner_.Body(nullptr, {}), {});
  const auto good = VerifyCommit(bundle, nullptr);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->owner, owner_.self.id);
  EXPECT_EQ(good->hash, bundle.CommitHash());
  EXPECT_EQ(good->body_bytes, good->body.Encode());
  const RosterEntry self = EntryOf(owner_.self, MemberKind::kOwner);
  EXPECT_TRUE(VerifyCommit(bundle, &self).ok());
  TestOwner other(99);
  const RosterEntry stranger = EntryOf(other.self, MemberKind::kOwner);
  EXPECT_FALSE(VerifyCommit(bundle, &stranger).ok());

  CommitBundle forged = bundle;
  forged.commit = SignCommit(other.self.ik, owner_.self.id, owner_.Body(nullptr, {}), WrapsHash({})).value();
  EXPECT_EQ(VerifyCommit(forged, nullptr).status().code(), absl::StatusCode::kUnauthenticated);
  forged.commit = SignCommit(owner_.self.ik, other.self.id, owner_.Body(nullptr, {}), WrapsHash({})).value();
  EXPECT_FALSE(VerifyCommit(forged, nullptr).ok()) << "signed for another place";
  forged.commit = WithOtherSignature(bundle.commit);
  EXPECT_FALSE(VerifyCommit(forged, nullptr).ok()) << "a second hash for one commit";
}

TEST_F(CommitTest, WrapsAreTheOnesSignedFor) {
  const MemberId a = owner_.random.NewId<MemberId>();
  CommitBundle bundle = owner_.Sign(owner_.Body(nullptr, {}), {WrapFor(a)});
  ASSERT_TRUE(VerifyCommit(bundle, nullptr).ok());
  CommitBundle changed = bundle;
  changed.wraps[0].sealed[0] ^= 1;
  EXPECT_FALSE(VerifyCommit(changed, nullptr).ok());
  changed = bundle;
  changed.wraps[0].first = false;
  EXPECT_FALSE(VerifyCommit(changed, nullptr).ok());
  changed = bundle;
  changed.wraps[0].kind = WrapKind::kJoiner;
  EXPECT_FALSE(VerifyCommit(changed, nullptr).ok());
  changed = bundle;
  changed.wraps[0].member = owner_.self.id;
  EXPECT_FALSE(VerifyCommit(changed, nullptr).ok());
  changed = bundle;
  changed.wraps.clear();
  EXPECT_FALSE(VerifyCommit(changed, nullptr).ok());
}

TEST_F(CommitTest, EveryByteOfACommitIsBound) {
  const CommitBundle bundle = owner_.Sign(owner_.Body(nullptr, {}), {});
  for (size_t i = 0; i < bundle.commit.size(); ++i) {
    CommitBundle bad = bundle;
    bad.commit[i] ^= 1;
    EXPECT_FALSE(VerifyCommit(bad, nullptr).ok()) << i;
  }
}

}  // namespace
}  // namespace keystead
