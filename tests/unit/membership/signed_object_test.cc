#include "core/membership/signed_object.h"

#include <gtest/gtest.h>

#include "core/cose/cbor.h"
#include "core/cose/sign1.h"
#include "core/crypto/errors.h"
#include "tests/unit/membership/test_members.h"

namespace keystead {
namespace {

class SignedObjectTest : public testing::Test {
 protected:
  SignedObjectTest() {
    place_.tenant = TenantName::Parse("acme.keystead.example").value();
    place_.id = random_.NewId<InstantiationId>();
    place_.topic = Topic::Of(TopicKind::kTelemetry, random_.NewId<MemberId>());
    place_.sender = random_.NewId<MemberId>();
    place_.stream = random_.NewId<StreamId>();
    place_.epoch = 3;
    place_.sequence = 7;
    object_ = SignObject(key_, kinds::kCheckpoint, place_, payload_).value();
  }
  absl::Status Verify(const SignedPlace& place, std::string_view kind = kinds::kCheckpoint) {
    return VerifyObject(object_, key_.public_key(), kind, place).status();
  }

  SeededRandom random_{1};
  const crypto::EcdsaKeyPair key_ = crypto::EcdsaKeyPair::Generate(random_).value();
  const Bytes payload_ = ToBytes(std::string_view("payload"));
  SignedPlace place_;
  Bytes object_;
};

TEST_F(SignedObjectTest, RoundTrip) {
  const auto payload = VerifyObject(object_, key_.public_key(), kinds::kCheckpoint, place_);
  ASSERT_TRUE(payload.ok()) << payload.status();
  EXPECT_TRUE(Equal(*payload, payload_));
  EXPECT_TRUE(Equal(UnverifiedPayload(object_).value(), payload_));
}

TEST_F(SignedObjectTest, AadNamesEveryFieldAndNullWhereThereIsNone) {
  EXPECT_EQ(SignatureAad("head", place_),
            cose::EncodeArray("ks1 sig", "head", place_.tenant, *place_.id, *place_.topic, *place_.sender,
                              *place_.stream, 3, 7));
  EXPECT_EQ(ToHex(SignatureAad("x", SignedPlace{})), "89676b7331207369676178f6f6f6f6f6f6f6");
}

TEST_F(SignedObjectTest, CannotBeLiftedToAnotherKindOrPlace) {
  EXPECT_EQ(Verify(place_, kinds::kOpening), crypto::BadSignature());
  std::vector<std::pair<const char*, SignedPlace>> others(13, {"", place_});
  others[0].first = "tenant", others[0].second.tenant = TenantName::Parse("other.keystead.example").value();
  others[1].first = "id", others[1].second.id = random_.NewId<InstantiationId>();
  others[2].first = "topic", others[2].second.topic = Topic::Of(TopicKind::kState, place_.topic->member());
  others[3].first = "sender", others[3].second.sender = random_.NewId<MemberId>();
  others[4].first = "stream", others[4].second.stream = random_.NewId<StreamId>();
  others[5].first = "epoch", others[5].second.epoch = 4;
  others[6].first = "sequence", others[6].second.sequence = 8;
  others[7].first = "no tenant", others[7].second.tenant = TenantName();
  others[8].first = "no id", others[8].second.id.reset();
  others[9].first = "no topic", others[9].second.topic.reset();
  others[10].first = "no stream", others[10].second.stream.reset();
  others[11].first = "no epoch", others[11].second.epoch.reset();
  others[12].first = "no sequence", others[12].second.sequence.reset();
  for (const auto& [name, other] : others) EXPECT_EQ(Verify(other), crypto::BadSignature()) << name;
  EXPECT_TRUE(Verify(place_).ok());
}

TEST_F(SignedObjectTest, RefusesOtherKeysAndEveryChangedByte) {
  const auto other = crypto::EcdsaKeyPair::Generate(random_).value();
  EXPECT_FALSE(VerifyObject(object_, other.public_key(), kinds::kCheckpoint, place_).ok());
  EXPECT_FALSE(VerifyObject(object_, crypto::EcdsaPublicKey(), kinds::kCheckpoint, place_).ok());
  for (size_t i = 0; i < object_.size(); ++i) {
    Bytes bad = object_;
    bad[i] ^= 1;
    EXPECT_FALSE(VerifyObject(bad, key_.public_key(), kinds::kCheckpoint, place_).ok()) << i;
  }
}

// Otherwise anyone could give a commit a second hash, and split the members who saw one from those who saw
// the other.
TEST_F(SignedObjectTest, HasOneSignatureOnly) {
  for (int i = 0; i < 16; ++i) {
    const Bytes object = SignObject(key_, kinds::kCommit, place_, payload_).value();
    EXPECT_TRUE(VerifyObject(object, key_.public_key(), kinds::kCommit, place_).ok());
    const Bytes other = WithOtherSignature(object);
    ASSERT_NE(other, object);
    ASSERT_TRUE(
        cose::OpenSign1(other, key_.public_key(), "ks1/commit", SignatureAad(kinds::kCommit, place_)).ok())
        << "(r, n - s) is a valid ECDSA signature";
    EXPECT_EQ(VerifyObject(other, key_.public_key(), kinds::kCommit, place_).status(),
              crypto::BadSignature());
  }
}

TEST(ContentTest, IsAPairOfKindAndBody) {
  const Bytes content = EncodeContent(kinds::kReadings, AsBytes("xyz"));
  EXPECT_EQ(ToHex(content),
            "82687265616469"
            "6e67734378797a");
  const auto view = ParseContent(content);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->kind, kinds::kReadings);
  EXPECT_EQ(AsChars(view->body), "xyz");
  for (size_t size = 0; size < content.size(); ++size)
    EXPECT_FALSE(ParseContent(ByteView(content).first(size)).ok()) << size;
  Bytes longer = content;
  longer.push_back(0);
  EXPECT_FALSE(ParseContent(longer).ok());
  EXPECT_FALSE(ParseContent(cose::EncodeArray("a", "text")).ok());
  EXPECT_FALSE(ParseContent(cose::EncodeArray("a", Bytes{1}, 1)).ok());
  EXPECT_FALSE(ParseContent(cose::EncodeArray(1, Bytes{1})).ok());
}

}  // namespace
}  // namespace keystead
