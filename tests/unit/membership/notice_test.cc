#include "core/membership/notice.h"

#include <gtest/gtest.h>

#include "core/cose/cbor.h"
#include "tests/unit/membership/test_members.h"

namespace keystead {
namespace {

class NoticeTest : public testing::Test {
 protected:
  NoticeTest() : self_(MakeTestMember(random_)), other_(MakeTestMember(random_)) {
    place_.tenant = TenantName::Parse("acme.keystead.example").value();
    place_.id = random_.NewId<InstantiationId>();
    place_.topic = Topic::Keyring();
    place_.sender = self_.id;
    place_.stream = random_.NewId<StreamId>();
    place_.epoch = 2;
    place_.sequence = 5;
  }
  SeededRandom random_{3};
  TestMember self_;
  TestMember other_;
  SignedPlace place_;
};

TEST_F(NoticeTest, HeadRoundTrip) {
  const Head head{4, random_.NewId<Digest>(), 17, -3};
  const Bytes object = SignHead(self_.ik, place_, head).value();
  const auto read = VerifyHead(object, self_.ik.public_key(), place_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->epoch, 4u);
  EXPECT_EQ(read->commit_hash, head.commit_hash);
  EXPECT_EQ(read->hseq, 17u);
  EXPECT_EQ(read->time, -3);
  EXPECT_FALSE(VerifyHead(object, other_.ik.public_key(), place_).ok());
  EXPECT_FALSE(VerifyProbe(object, self_.ik.public_key(), place_).ok()) << "a head is no probe";
  SignedPlace elsewhere = place_;
  elsewhere.sequence = 6;
  EXPECT_FALSE(VerifyHead(object, self_.ik.public_key(), elsewhere).ok());
  for (size_t i = 0; i < object.size(); ++i) {
    Bytes bad = object;
    bad[i] ^= 1;
    EXPECT_FALSE(VerifyHead(bad, self_.ik.public_key(), place_).ok()) << i;
  }
}

TEST_F(NoticeTest, HeadNamesItsInstantiationInside) {
  const Bytes payload = cose::EncodeArray(random_.NewId<InstantiationId>(), 0, Digest(), 1, 2);
  const Bytes object = SignObject(self_.ik, kinds::kHead, place_, payload).value();
  EXPECT_FALSE(VerifyHead(object, self_.ik.public_key(), place_).ok());
}

TEST_F(NoticeTest, ProbeIsItsSendersOwn) {
  const Probe probe{self_.id, random_.NewId<ProbeNonce>()};
  const Bytes object = SignProbe(self_.ik, place_, probe).value();
  const auto read = VerifyProbe(object, self_.ik.public_key(), place_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, probe);
  const Bytes foreign = SignProbe(self_.ik, place_, {other_.id, probe.nonce}).value();
  EXPECT_EQ(VerifyProbe(foreign, self_.ik.public_key(), place_).status().code(),
            absl::StatusCode::kUnauthenticated);
  for (size_t size = 0; size < object.size(); ++size)
    EXPECT_FALSE(VerifyProbe(ByteView(object).first(size), self_.ik.public_key(), place_).ok());
}

}  // namespace
}  // namespace keystead
