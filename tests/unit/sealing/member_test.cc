#include "core/sealing/member.h"

#include <gtest/gtest.h>

#include "core/membership/notice.h"
#include "tests/unit/sealing/test_world.h"

namespace keystead {
namespace {

class MemberTest : public testing::Test {
 protected:
  MemberTest() : device_(world_.AddDevice()) {}
  StreamPlace NoticePlace(const Party& from) {
    return {world_.tenant,        world_.id,
            Topic::Keyring(),     from.id(),
            from.chain().epoch(), world_.random.NewId<StreamId>()};
  }
  static SignedPlace Signed(const StreamPlace& p, uint64_t sequence) {
    return {p.tenant, p.id, p.topic, p.sender, p.stream, p.epoch, sequence};
  }
  KeyringEffect GiveProbe(const Party& from, const ProbeNonce& nonce, uint64_t sequence = 1) {
    const StreamPlace place = NoticePlace(from);
    const Bytes object = SignProbe(from.keys.ik, Signed(place, sequence), {from.id(), nonce}).value();
    return device_.member->AcceptKeyring(place, sequence, EncodeContent(kinds::kProbe, object));
  }
  KeyringEffect GiveHead(const Party& from, const Head& head) {
    const StreamPlace place = NoticePlace(from);
    const Bytes object = SignHead(from.keys.ik, Signed(place, 3), head).value();
    return device_.member->AcceptKeyring(place, 3, EncodeContent(kinds::kHead, object));
  }
  Head HeadNow(uint64_t hseq) {
    return {world_.owner.chain().epoch(), world_.owner.chain().head().hash, hseq, 0};
  }
  std::vector<Probe> Echoes() {
    return device_.member->MakeFreshness(BootId(), absl::ZeroDuration(), std::nullopt).echoes;
  }
  World world_;
  Party& device_;
};

TEST_F(MemberTest, FollowsTheKeyringWhateverTheOrderAndNumber) {
  world_.NewEpoch();
  Party late;
  late.keys = MakeTestMember(world_.random);
  late.join = JoinSecret(world_.random.Secret(kSecretBytes));
  late.member = world_.MakeMember(late.keys, late.join.Clone());
  CommitRequest request;
  request.add.push_back(world_.NewcomerOf(late, MemberKind::kReader, {}));
  world_.Publish(world_.Next(request));
  EXPECT_EQ(late.member->AcceptKeyring(world_.CommitPlace(3), 0, world_.contents[3]), KeyringEffect::kRefused)
      << "not from the middle";
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t n = 0; n < world_.contents.size(); ++n) {
      const KeyringEffect effect = late.member->AcceptKeyring(world_.CommitPlace(n), 0, world_.contents[n]);
      EXPECT_EQ(effect, pass == 0 && n == 3 ? KeyringEffect::kEpoch : KeyringEffect::kNothing) << n;
    }
  }
  EXPECT_TRUE(late.member->belongs());
  EXPECT_EQ(late.chain().head().hash, world_.owner.chain().head().hash);
}

TEST_F(MemberTest, NoBitOfACommitCanChange) {
  const NewCommit next = world_.Next({});
  const Bytes content = next.bundle.EncodeContent();
  for (size_t i = 0; i < content.size(); i += 5) {
    Bytes bad = content;
    bad[i] ^= 1;
    EXPECT_EQ(device_.member->AcceptKeyring(world_.CommitPlace(2), 0, bad), KeyringEffect::kRefused) << i;
  }
  EXPECT_EQ(device_.member->AcceptKeyring(world_.CommitPlace(2), 0, content), KeyringEffect::kEpoch);
}

// A hop without any key could otherwise part two members for good.
TEST_F(MemberTest, TheTwinOfACommitIsRefused) {
  NewCommit next = world_.Next({});
  const Bytes genuine = next.bundle.EncodeContent();
  next.bundle.commit = WithOtherSignature(next.bundle.commit);
  EXPECT_EQ(device_.member->AcceptKeyring(world_.CommitPlace(2), 0, next.bundle.EncodeContent()),
            KeyringEffect::kRefused);
  EXPECT_EQ(device_.member->AcceptKeyring(world_.CommitPlace(2), 0, genuine), KeyringEffect::kEpoch);
}

TEST_F(MemberTest, ForksAreRefused) {
  const NewCommit one = world_.Next({});
  const NewCommit two = world_.Next({});
  world_.Publish(one);
  EXPECT_EQ(device_.member->AcceptKeyring(world_.CommitPlace(2), 0, two.bundle.EncodeContent()),
            KeyringEffect::kRefused);
  EXPECT_EQ(device_.chain().head().hash, one.bundle.CommitHash());
}

TEST_F(MemberTest, AnotherOwnersInstantiationIsRefused) {
  World other(99);
  EXPECT_EQ(device_.member->AcceptKeyring(other.CommitPlace(0), 0, other.contents[0]),
            KeyringEffect::kRefused);
  Party fresh;
  fresh.keys = MakeTestMember(world_.random);
  Member::Identity identity;
  identity.tenant = world_.tenant;
  identity.id = world_.id;
  identity.self = fresh.id();
  identity.ik = fresh.keys.ik.Clone();
  identity.k = fresh.keys.k.Clone();
  identity.owner_ckt = other.OwnerCkt();  // whom it joined
  Member member(std::move(identity));
  EXPECT_EQ(member.AcceptKeyring(world_.CommitPlace(0), 0, world_.contents[0]), KeyringEffect::kRefused);
}

TEST_F(MemberTest, RemovalIsNoticed) {
  world_.Remove(device_);
  EXPECT_FALSE(device_.member->belongs());
  EXPECT_EQ(device_.chain().epoch(), 2u);
  EXPECT_EQ(device_.ring().epoch(), 1u);
}

TEST_F(MemberTest, EchoesTheLatestProbeOfEachReader) {
  const ProbeNonce one = world_.random.NewId<ProbeNonce>();
  const ProbeNonce two = world_.random.NewId<ProbeNonce>();
  EXPECT_EQ(GiveProbe(world_.owner, one), KeyringEffect::kProbe);
  EXPECT_EQ(GiveProbe(world_.owner, two), KeyringEffect::kProbe);
  EXPECT_EQ(Echoes(), (std::vector<Probe>{{world_.owner.id(), two}}));
}

TEST_F(MemberTest, ProbesOfOthersAndOfTheRemovedAreNotEchoed) {
  Party& reader = world_.Add(MemberKind::kReader);
  EXPECT_EQ(GiveProbe(reader, world_.random.NewId<ProbeNonce>()), KeyringEffect::kProbe);
  EXPECT_EQ(Echoes().size(), 1u);
  Party stranger;
  stranger.keys = MakeTestMember(world_.random);
  stranger.member = world_.MakeMember(stranger.keys, std::nullopt);
  const StreamPlace place{world_.tenant, world_.id, Topic::Keyring(), stranger.id(), 1, StreamId()};
  const Bytes object =
      SignProbe(stranger.keys.ik, Signed(place, 0), {stranger.id(), world_.random.NewId<ProbeNonce>()})
          .value();
  EXPECT_EQ(device_.member->AcceptKeyring(place, 0, EncodeContent(kinds::kProbe, object)),
            KeyringEffect::kRefused);
  world_.Remove(reader);
  EXPECT_TRUE(Echoes().empty()) << "who is removed learns no more when the device is awake";
  StreamPlace old = NoticePlace(reader);
  old.epoch = 2;  // when it was still a member
  const Bytes late =
      SignProbe(reader.keys.ik, Signed(old, 0), {reader.id(), world_.random.NewId<ProbeNonce>()}).value();
  EXPECT_EQ(device_.member->AcceptKeyring(old, 0, EncodeContent(kinds::kProbe, late)),
            KeyringEffect::kNothing);
  EXPECT_TRUE(Echoes().empty());
}

TEST_F(MemberTest, ManyReadersDoNotCostTheOwnerItsEcho) {
  CommitRequest request;
  std::vector<Party*> readers;
  for (size_t i = 0; i < kMaxEchoedProbes + 4; ++i) {
    readers.push_back(&world_.Newcomers());
    request.add.push_back(world_.NewcomerOf(*readers.back(), MemberKind::kReader, {}));
  }
  world_.Publish(world_.Next(request));
  const ProbeNonce own = world_.random.NewId<ProbeNonce>();
  GiveProbe(world_.owner, own);
  for (int round = 0; round < 2; ++round) {
    for (Party* reader : readers)
      EXPECT_EQ(GiveProbe(*reader, world_.random.NewId<ProbeNonce>()), KeyringEffect::kProbe);
  }
  const std::vector<Probe> echoes = Echoes();
  EXPECT_EQ(echoes.size(), kMaxEchoedProbes);
  EXPECT_NE(std::ranges::find(echoes, Probe{world_.owner.id(), own}), echoes.end());
  const auto last =
      std::ranges::find_if(echoes, [&](const Probe& p) { return p.reader == readers.back()->id(); });
  EXPECT_NE(last, echoes.end()) << "the newest is heard";
}

TEST_F(MemberTest, HeadsRiseAndAreTheOwnersOnly) {
  EXPECT_EQ(GiveHead(world_.owner, HeadNow(5)), KeyringEffect::kHead);
  EXPECT_EQ(GiveHead(world_.owner, HeadNow(5)), KeyringEffect::kNothing) << "a replay";
  EXPECT_EQ(GiveHead(world_.owner, HeadNow(4)), KeyringEffect::kNothing);
  Party& second = world_.Add(MemberKind::kOwner);
  EXPECT_EQ(GiveHead(second, HeadNow(~uint64_t{0})), KeyringEffect::kRefused)
      << "who does not commit has no head";
  EXPECT_EQ(GiveHead(device_, HeadNow(9)), KeyringEffect::kRefused);
  Head lie = HeadNow(6);
  lie.commit_hash = Digest();
  EXPECT_EQ(GiveHead(world_.owner, lie), KeyringEffect::kRefused) << "a fork";
  EXPECT_EQ(device_.member->head()->hseq, 5u);
  EXPECT_EQ(device_.member->MakeFreshness(BootId(), absl::ZeroDuration(), 3).hseq, 5u);
}

TEST_F(MemberTest, NoticesAreBoundToTheirPlaceAndBytes) {
  const StreamPlace place = NoticePlace(world_.owner);
  const Bytes object =
      SignProbe(world_.owner.keys.ik, Signed(place, 1), {world_.owner.id(), ProbeNonce()}).value();
  const Bytes content = EncodeContent(kinds::kProbe, object);
  const auto give = [&](const StreamPlace& at, uint64_t sequence, const Bytes& bytes) {
    return device_.member->AcceptKeyring(at, sequence, bytes);
  };
  EXPECT_EQ(give(place, 2, content), KeyringEffect::kRefused);
  StreamPlace other = place;
  other.stream = StreamId();
  EXPECT_EQ(give(other, 1, content), KeyringEffect::kRefused);
  other = place;
  other.sender = device_.id();
  EXPECT_EQ(give(other, 1, content), KeyringEffect::kRefused);
  other = place;
  other.epoch = 0;
  EXPECT_EQ(give(other, 1, content), KeyringEffect::kRefused);
  other = place;
  other.topic = Topic::Of(TopicKind::kState, device_.id());
  EXPECT_EQ(give(other, 1, content), KeyringEffect::kRefused);
  EXPECT_EQ(give(place, 1, EncodeContent(kinds::kHead, object)), KeyringEffect::kRefused);
  EXPECT_EQ(give(place, 1, EncodeContent("unheard of", object)), KeyringEffect::kRefused);
  for (size_t i = 0; i < content.size(); ++i) {
    Bytes bad = content;
    bad[i] ^= 1;
    EXPECT_EQ(give(place, 1, bad), KeyringEffect::kRefused) << i;
  }
  EXPECT_EQ(give(place, 1, content), KeyringEffect::kProbe);
}

TEST_F(MemberTest, SurvivesARestartInEveryState) {
  GiveHead(world_.owner, HeadNow(5));
  const auto check = [&](const Member& member) {
    const SecretBytes stored = member.Serialize();
    const auto again = Member::Parse(stored);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(again->Serialize().ConstantTimeEquals(stored));
    EXPECT_EQ(again->belongs(), member.belongs());
    EXPECT_EQ(again->identity().join.has_value(), member.identity().join.has_value());
    EXPECT_EQ(again->chain().empty(), member.chain().empty());
  };
  check(*device_.member);
  EXPECT_EQ(Member::Parse(device_.member->Serialize())->head()->hseq, 5u);
  check(*world_.owner.member);
  check(*world_.MakeMember(MakeTestMember(world_.random), JoinSecret(world_.random.Secret(kSecretBytes))));
  world_.Remove(device_);
  check(*device_.member);
}

TEST_F(MemberTest, OldWritingKeysGoThirtyDaysAfterTheMemberSawTheirEpochEnd) {
  Member& owner = *world_.owner.member;
  const Topic topic = Topic::Of(TopicKind::kTelemetry, device_.id());
  world_.known_senders = {{topic, device_.id()}};
  const auto has_key = [&](uint64_t epoch) {
    return owner.ring().SenderKeyFor(epoch, topic, device_.id()).ok();
  };
  world_.NewEpoch();  // ends epoch 1; the commit's own time stands still all through the test
  world_.clock.Advance(absl::Hours(24));
  world_.NewEpoch();
  world_.clock.Advance(kKeepOldKeys - absl::Hours(24) - absl::Seconds(1));
  EXPECT_TRUE(owner.ForgetOldKeys().empty());
  world_.clock.Advance(absl::Seconds(1));
  EXPECT_EQ(owner.ForgetOldKeys(), (std::vector<KeyRing::SenderSlot>{{1, topic, device_.id()}}));
  EXPECT_FALSE(has_key(1));
  EXPECT_TRUE(has_key(2));
  EXPECT_TRUE(owner.ForgetOldKeys().empty());
  // The end of epoch 2 outlives a restart.
  Member again = Member::Parse(owner.Serialize(), &world_.clock).value();
  world_.clock.Advance(absl::Hours(24) - absl::Seconds(1));
  EXPECT_TRUE(again.ForgetOldKeys().empty());
  world_.clock.Advance(absl::Seconds(1));
  EXPECT_EQ(again.ForgetOldKeys().size(), 1u);
  EXPECT_TRUE(again.ForgetOldKeys().empty());
}

TEST_F(MemberTest, AClockThatWasAheadWhenTheEpochEndedKeepsKeysThirtyDaysOfUptime) {
  class Clocks final : public Clock {
   public:
    absl::Time Now() const override { return now; }
    absl::Duration Uptime() const override { return uptime; }
    absl::Time now = absl::FromUnixSeconds(4'000'000'000);
    absl::Duration uptime;
  } clocks;
  Member owner = Member::Parse(world_.owner.member->Serialize(), &clocks).value();
  const Topic topic = Topic::Of(TopicKind::kTelemetry, device_.id());
  const NewCommit next = world_.Next({});
  ASSERT_TRUE(owner.EnterOwn(next, {{topic, device_.id()}}).ok());
  clocks.now = absl::FromUnixSeconds(1'800'000'000);  // somebody has set it
  EXPECT_TRUE(owner.ForgetOldKeys().empty());
  clocks.uptime += kKeepOldKeys;
  EXPECT_EQ(owner.ForgetOldKeys().size(), 1u);
}

TEST_F(MemberTest, DamageIsNoticed) {
  const SecretBytes stored = device_.member->Serialize();
  for (size_t size = 0; size < stored.size(); size += 7)
    EXPECT_EQ(Member::Parse(stored.Slice(0, size)).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace keystead
