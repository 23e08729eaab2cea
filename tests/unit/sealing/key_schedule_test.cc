// Known answers, computed with an HKDF and a CBOR encoder that are not this project's.
#include "core/sealing/key_schedule.h"

#include <gtest/gtest.h>

#include "core/sealing/joining_keys.h"
#include "core/sealing/stream_writer.h"
#include "core/sealing/wrap.h"

namespace keystead {
namespace {

SecretBytes Repeat(uint8_t byte) { return SecretBytes::CopyOf(Bytes(32, byte)); }
std::string Hex(const SecretBytes& secret) { return ToHex(secret.ExposeSecret()); }

const InstantiationId kId = InstantiationId::FromHex("000102030405060708090a0b0c0d0e0f").value();
const MemberId kMember = MemberId::FromHex("101112131415161718191a1b1c1d1e1f").value();
const StreamId kStream = StreamId::FromHex("202122232425262728292a2b2c2d2e2f").value();
const Digest kBody = Digest::FromBytes(Bytes(32, 0xb0)).value();
const Topic kTopic = Topic::Of(TopicKind::kTelemetry, kMember);

TEST(KeyScheduleTest, KnownAnswers) {
  const CommitSecret commit_secret(Repeat(0xc5));
  const JoinerSecret joiner0 = DeriveJoiner(nullptr, commit_secret).value();
  EXPECT_EQ(Hex(joiner0.secret()), "6c3e3d37d16135d351a68e17d45a84546a59f3d0ac2ec0b7c17025daf8d76112");
  const EpochSecret e0 = DeriveEpochSecret(joiner0, kId, 0, kBody).value();
  EXPECT_EQ(Hex(e0.secret()), "4c528762fc94de2be7e8722a6b557e16c5a99a3ffe61d0e4b1bd6d5d451c8d56");
  const JoinerSecret joiner1 = DeriveJoiner(&e0, commit_secret).value();
  EXPECT_EQ(Hex(joiner1.secret()), "c904f731e01fae8bc02e2ecfcc2876fdccc6d365db9af4298a86b04aa608de01");
  const EpochSecret e1 = DeriveEpochSecret(joiner1, kId, 1, kBody).value();
  EXPECT_EQ(Hex(e1.secret()), "1c51d6d4c83ade278fce724ffb6672e5771d692bba82a733eeb5cbcbd3257e5d");
  const TopicKey t = DeriveTopicKey(e1, kId, 1, kTopic).value();
  EXPECT_EQ(Hex(t.secret()), "5983c9e26bcbaebbeaaa494b8be14867c71c9becdfd037a00eac9b0dbd894092");
  const SenderKey s = DeriveSenderKey(t, kMember).value();
  EXPECT_EQ(Hex(s.secret()), "6d9fbb543a2f3b01e9e92de07f03c023a1f2aec23706630e631c5d3b3341d2bb");
}

TEST(KeyScheduleTest, EveryInputMatters) {
  const CommitSecret secret(Repeat(1));
  const JoinerSecret joiner = DeriveJoiner(nullptr, secret).value();
  const auto epoch = [&](const InstantiationId& id, uint64_t n, const Digest& body) {
    return Hex(DeriveEpochSecret(joiner, id, n, body).value().secret());
  };
  const std::string e = epoch(kId, 0, kBody);
  EXPECT_NE(e, epoch(InstantiationId(), 0, kBody));
  EXPECT_NE(e, epoch(kId, 1, kBody));
  EXPECT_NE(e, epoch(kId, 0, Digest()));
  const EpochSecret es = DeriveEpochSecret(joiner, kId, 0, kBody).value();
  const auto topic = [&](const InstantiationId& id, uint64_t n, const Topic& t) {
    return Hex(DeriveTopicKey(es, id, n, t).value().secret());
  };
  const std::string t = topic(kId, 0, kTopic);
  EXPECT_NE(t, topic(InstantiationId(), 0, kTopic));
  EXPECT_NE(t, topic(kId, 1, kTopic));
  EXPECT_NE(t, topic(kId, 0, Topic::Of(TopicKind::kState, kMember)));
  EXPECT_NE(t, topic(kId, 0, Topic::Parse(kTopic.str() + "/power").value()));
  const TopicKey tk = DeriveTopicKey(es, kId, 0, kTopic).value();
  EXPECT_NE(Hex(DeriveSenderKey(tk, kMember).value().secret()),
            Hex(DeriveSenderKey(tk, MemberId()).value().secret()));
}

TEST(JoiningKeysTest, KnownAnswers) {
  const SecretBytes code = Repeat(0x5e);
  EXPECT_EQ(AnnouncementBox(code).value().ToHex(), "72a56806ffa054f77379fca2bd9c337f");
  const SecretBytes psk1 = joining::DerivePsk1(code, "dev-1", 3).value();
  EXPECT_EQ(Hex(psk1), "55cbe465a2157b99e0189e869f6be1c4aeb307e4bf66812b339ffded95e005e3");
  EXPECT_EQ(joining::BoxName(psk1, "ks1 box m1").value().ToHex(), "8092ff48a193cdac679fe4dd0e211b58");
  EXPECT_EQ(joining::BoxName(psk1, "ks1 box m2").value().ToHex(), "6cc72592cf67b2eff09a156e569da5b0");
  const SecretBytes s_a = Repeat(0xaa);
  EXPECT_EQ(Hex(joining::DerivePsk2(psk1, s_a).value()),
            "05af7730335067df2054e98b6e3fde0c246483285d556280738a812d21949c96");
  const JoinSecret j = joining::DeriveJoinSecret(AsBytes("M1"), AsBytes("M2"), s_a, Repeat(0xdd));
  EXPECT_EQ(Hex(j.secret()), "e09a8ae63b9ca49a48d75b90d6134c047afc81986f2eae258ccf42dcc8050009");
  EXPECT_EQ(Hex(FirstWrapPsk(j, kId, kMember).value()),
            "e0084ccc7df85e09ff655a0983680ab52e587458716ce0d4ba7d53198328df11");
}

TEST(RunningHashTest, KnownAnswer) {
  const StreamPlace place{
      TenantName::Parse("acme.keystead.example").value(), kId, kTopic, kMember, 1, kStream};
  EXPECT_EQ(InitialRunningHash(place).ToHex(),
            "cfea6659a20f9209657d78c4acbc60c253bd5b0712fc229f37938cc9c3954125");
}

}  // namespace
}  // namespace keystead
