#include "core/crypto/aead.h"

#include <gtest/gtest.h>

#include "core/crypto/errors.h"

namespace keystead::crypto {
namespace {

class Aes256GcmTest : public testing::Test {
 protected:
  static Aes256Gcm Make(uint8_t fill) {
    return Aes256Gcm::Create(SecretBytes::CopyOf(Bytes(kAeadKeyBytes, fill))).value();
  }
  Aes256Gcm aead_ = Make(1);
  const AeadNonce nonce_{9, 8, 7};
  const Bytes aad_ = ToBytes(std::string_view("aad"));
  const Bytes plaintext_ = Bytes(100, 0x5a);
};

TEST_F(Aes256GcmTest, KnownAnswer) {  // The GCM Specification (McGrew, Viega), test case 14
  Aes256Gcm zero = Make(0);
  Bytes out;
  ASSERT_TRUE(zero.SealAppend({}, {}, Bytes(16, 0), out).ok());
  EXPECT_EQ(ToHex(out), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST_F(Aes256GcmTest, AppendsAndOpensWithTheSameContextManyTimes) {
  Bytes out = {1, 2, 3};
  for (uint8_t i = 0; i < 3; ++i) {
    const size_t before = out.size();
    const AeadNonce nonce{i};
    ASSERT_TRUE(aead_.SealAppend(nonce, aad_, plaintext_, out).ok());
    ASSERT_EQ(out.size(), before + plaintext_.size() + kAeadTagBytes);
    Bytes opened = {7};
    ASSERT_TRUE(aead_.OpenAppend(nonce, aad_, ByteView(out).subspan(before), opened).ok());
    EXPECT_EQ(opened[0], 7);
    EXPECT_TRUE(Equal(ByteView(opened).subspan(1), plaintext_));
  }
  EXPECT_EQ(out[0], 1);
}

TEST_F(Aes256GcmTest, InPlaceAndStringAndSecretAgree) {
  std::string text;
  ASSERT_TRUE(aead_.SealAppend(nonce_, aad_, plaintext_, text).ok());
  Bytes in_place = plaintext_;
  in_place.resize(plaintext_.size() + kAeadTagBytes);
  ASSERT_TRUE(aead_.SealInto(nonce_, aad_, ByteView(in_place).first(plaintext_.size()), in_place).ok());
  EXPECT_EQ(ToString(in_place), text);
  const auto secret = aead_.OpenSecret(nonce_, aad_, in_place);
  ASSERT_TRUE(secret.ok());
  EXPECT_TRUE(Equal(secret->ExposeSecret(), plaintext_));
}

TEST_F(Aes256GcmTest, EmptyPlaintextIsStillAuthenticated) {
  Bytes sealed;
  ASSERT_TRUE(aead_.SealAppend(nonce_, aad_, {}, sealed).ok());
  Bytes out;
  EXPECT_TRUE(aead_.OpenAppend(nonce_, aad_, sealed, out).ok());
  EXPECT_EQ(aead_.OpenAppend(nonce_, {}, sealed, out), OpenFailed());
}

TEST_F(Aes256GcmTest, RefusesEveryChangeAndLeavesOutputAlone) {
  Bytes sealed;
  ASSERT_TRUE(aead_.SealAppend(nonce_, aad_, plaintext_, sealed).ok());
  Bytes out = {42};
  for (size_t i = 0; i < sealed.size(); ++i) {
    Bytes bad = sealed;
    bad[i] ^= 1;
    EXPECT_EQ(aead_.OpenAppend(nonce_, aad_, bad, out), OpenFailed()) << i;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(aead_.OpenAppend(nonce_, aad_, ByteView(sealed).first(size), out), OpenFailed()) << size;
  }
  Bytes longer = sealed;
  longer.push_back(0);
  EXPECT_EQ(aead_.OpenAppend(nonce_, aad_, longer, out), OpenFailed());
  EXPECT_EQ(aead_.OpenAppend(AeadNonce{1}, aad_, sealed, out), OpenFailed());
  EXPECT_EQ(aead_.OpenAppend(nonce_, AsBytes("aae"), sealed, out), OpenFailed());
  Aes256Gcm other = Make(2);
  EXPECT_EQ(other.OpenAppend(nonce_, aad_, sealed, out), OpenFailed());
  EXPECT_EQ(out, Bytes{42});
  EXPECT_TRUE(aead_.OpenAppend(nonce_, aad_, sealed, out).ok()) << "a failure does not spoil the context";
}

TEST_F(Aes256GcmTest, FailedOpenWipesTheOutput) {
  Bytes sealed;
  ASSERT_TRUE(aead_.SealAppend(nonce_, aad_, plaintext_, sealed).ok());
  sealed.back() ^= 1;
  Bytes out(plaintext_.size(), 0xee);
  EXPECT_FALSE(aead_.OpenInto(nonce_, aad_, sealed, out).ok());
  EXPECT_EQ(out, Bytes(plaintext_.size(), 0));
}

TEST_F(Aes256GcmTest, WrongSizesAreInvalidArguments) {
  EXPECT_EQ(Aes256Gcm::Create(SecretBytes(16)).status().code(), absl::StatusCode::kInvalidArgument);
  Bytes small(plaintext_.size());
  EXPECT_EQ(aead_.SealInto(nonce_, aad_, plaintext_, small).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keystead::crypto
