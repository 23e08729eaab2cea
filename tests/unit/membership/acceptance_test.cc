#include "core/membership/acceptance.h"

#include <gtest/gtest.h>

#include "core/cose/cbor.h"
#include "tests/unit/membership/test_members.h"

namespace keystead {
namespace {

TEST(AcceptanceTest, RoundTripAndEveryByteBound) {
  TestOwner owner;
  const TestMember device = MakeTestMember(owner.random);
  const Acceptance acceptance{owner.tenant, owner.id, cose::Ckt(device.ik.public_key()),
                              owner.ckt(),  12,       owner.random.NewId<Digest>()};
  const Bytes object = SignAcceptance(device.ik, acceptance).value();
  const auto read = VerifyAcceptance(object, device.ik.public_key());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->tenant, acceptance.tenant);
  EXPECT_EQ(read->id, acceptance.id);
  EXPECT_EQ(read->device_ckt, acceptance.device_ckt);
  EXPECT_EQ(read->owner_ckt, acceptance.owner_ckt);
  EXPECT_EQ(read->reset_counter, 12u);
  EXPECT_EQ(read->m1_hash, acceptance.m1_hash);
  EXPECT_EQ(UnverifiedDeviceCkt(object).value(), acceptance.device_ckt);
  for (size_t i = 0; i < object.size(); ++i) {
    Bytes bad = object;
    bad[i] ^= 1;
    EXPECT_FALSE(VerifyAcceptance(bad, device.ik.public_key()).ok()) << i;
  }
  for (size_t size = 0; size < object.size(); ++size)
    EXPECT_FALSE(VerifyAcceptance(ByteView(object).first(size), device.ik.public_key()).ok());
}

TEST(AcceptanceTest, SpeaksForItsSignerOnly) {
  TestOwner owner;
  const TestMember device = MakeTestMember(owner.random);
  const TestMember other = MakeTestMember(owner.random);
  const Bytes lie =
      SignAcceptance(other.ik,
                     {owner.tenant, owner.id, cose::Ckt(device.ik.public_key()), owner.ckt(), 0, {}})
          .value();
  EXPECT_FALSE(VerifyAcceptance(lie, device.ik.public_key()).ok());
  EXPECT_FALSE(VerifyAcceptance(lie, other.ik.public_key()).ok());
}

}  // namespace
}  // namespace keystead
