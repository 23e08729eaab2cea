#include "core/crypto/p256.h"

#include <gtest/gtest.h>

#include "core/crypto/errors.h"

namespace keystead::crypto {
namespace {

Bytes Hex(std::string_view hex) { return FromHex(hex).value(); }
SecretBytes Secret(std::string_view hex) { return SecretBytes::CopyOf(Hex(hex)); }

// RFC 6979, appendix A.2.5: key and signature of "sample" with SHA-256.
constexpr char kX[] = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
constexpr char kUx[] = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
constexpr char kUy[] = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
constexpr char kSignature[] =
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
constexpr char kOrder[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

TEST(EcdsaTest, KnownAnswer) {
  const auto pair = EcdsaKeyPair::FromPrivateScalar(Secret(kX));
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(ToHex(pair->public_key().x()), kUx);
  EXPECT_EQ(ToHex(pair->public_key().y()), kUy);
  const auto key = EcdsaPublicKey::FromXy(Hex(kUx), Hex(kUy));
  ASSERT_TRUE(key.ok());
  EXPECT_TRUE(*key == pair->public_key());
  EXPECT_TRUE(key->Verify(AsBytes("sample"), Hex(kSignature)).ok());
  EXPECT_EQ(key->Verify(AsBytes("sample2"), Hex(kSignature)), BadSignature());
}

TEST(EcdsaTest, SignsAndRefusesEveryChange) {
  const auto pair = EcdsaKeyPair::Generate();
  ASSERT_TRUE(pair.ok());
  const Bytes message = ToBytes(std::string_view("message"));
  const auto signature = pair->Sign(message);
  ASSERT_TRUE(signature.ok());
  const EcdsaPublicKey key = pair->public_key();  // a copy shares the handle
  EXPECT_TRUE(key.Verify(message, *signature).ok());
  for (size_t i = 0; i < kSignatureBytes; ++i) {
    Signature bad = *signature;
    bad[i] ^= 0x80;
    EXPECT_EQ(key.Verify(message, bad), BadSignature()) << i;
  }
  EXPECT_EQ(key.Verify(message, ByteView(*signature).first(63)), BadSignature());
  Bytes longer = ToBytes(*signature);
  longer.push_back(0);
  EXPECT_EQ(key.Verify(message, longer), BadSignature());
  EXPECT_EQ(key.Verify(message, Bytes(kSignatureBytes, 0)), BadSignature());
  EXPECT_EQ(EcdsaKeyPair::Generate()->public_key().Verify(message, *signature), BadSignature());
  EXPECT_EQ(EcdsaPublicKey().Verify(message, *signature), BadSignature()) << "an empty key verifies nothing";
  EXPECT_FALSE(EcdsaKeyPair().Sign(message).ok());
}

TEST(EcdsaTest, StoredAndClonedKeysAreTheSame) {
  const auto pair = EcdsaKeyPair::Generate();
  ASSERT_TRUE(pair.ok());
  const SecretBytes stored = pair->ExportPrivateScalar();
  EXPECT_EQ(stored.size(), kP256ScalarBytes);
  const auto again = EcdsaKeyPair::FromPrivateScalar(stored);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->public_key() == pair->public_key());
  const auto signature = pair->Clone().Sign(AsBytes("m"));
  ASSERT_TRUE(signature.ok());
  EXPECT_TRUE(again->public_key().Verify(AsBytes("m"), *signature).ok());
}

TEST(P256Test, RefusesScalarsOutOfRange) {
  for (const SecretBytes& bad :
       {SecretBytes(32), Secret(kOrder), SecretBytes(31), SecretBytes(33), SecretBytes()}) {
    EXPECT_EQ(EcdsaKeyPair::FromPrivateScalar(bad).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(EcdhKeyPair::FromPrivateScalar(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(P256Test, RefusesInvalidPoints) {
  const auto pair = EcdhKeyPair::Generate();
  ASSERT_TRUE(pair.ok());
  const Bytes good = ToBytes(pair->public_key().point());
  EXPECT_TRUE(EcdhPublicKey::FromPoint(good).ok());
  Bytes off_curve = good;
  off_curve[64] ^= 1;
  Bytes compressed(good.begin(), good.begin() + 33);
  compressed[0] = 2;
  Bytes hybrid = good;
  hybrid[0] = static_cast<uint8_t>(6 | (good[64] & 1));
  Bytes longer = good;
  longer.push_back(0);
  const Bytes beyond_field = Hex("04" + std::string(128, 'f'));
  for (const Bytes& bad :
       {off_curve, compressed, hybrid, longer, beyond_field, Bytes(65, 0), Bytes{0}, Bytes{}}) {
    EXPECT_EQ(EcdhPublicKey::FromPoint(bad).status().code(), absl::StatusCode::kInvalidArgument)
        << ToHex(bad);
    EXPECT_EQ(EcdsaPublicKey::FromPoint(bad).status().code(), absl::StatusCode::kInvalidArgument)
        << ToHex(bad);
  }
}

TEST(EcdhTest, BothSidesAgreeAndOthersDoNot) {
  SeededRandom random(3);
  const auto a = EcdhKeyPair::Generate(random);
  const auto b = EcdhKeyPair::Generate(random);
  const auto c = EcdhKeyPair::Generate(random);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  const auto ab = a->Agree(b->public_key());
  const auto ba = b->Agree(a->public_key());
  const auto ac = a->Agree(c->public_key());
  ASSERT_TRUE(ab.ok() && ba.ok() && ac.ok());
  EXPECT_TRUE(ab->ConstantTimeEquals(*ba));
  EXPECT_FALSE(ab->ConstantTimeEquals(*ac));
  EXPECT_FALSE(a->Agree(EcdhPublicKey()).ok());
  EXPECT_FALSE(EcdhKeyPair().Agree(a->public_key()).ok());
}

TEST(SignatureFromDerTest, TakesTheOneEncodingOnly) {
  const auto one = SignatureFromDer(Hex("3006020101020102"));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ((*one)[31], 1);
  EXPECT_EQ((*one)[63], 2);
  EXPECT_TRUE(SignatureFromDer(Hex("30080202008002020080")).ok());
  for (const char* bad :
       {"", "30", "3000", "300702010102010200", "30060201010201", "3007020200010201", "3106020101020102",
        "3006020181020102", "308106020101020102", "3006020101030102", "30050200020101"}) {
    const auto bytes = FromHex(bad);
    EXPECT_FALSE(bytes.ok() && SignatureFromDer(*bytes).ok()) << bad;
  }
}

}  // namespace
}  // namespace keystead::crypto
