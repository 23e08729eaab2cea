#include "core/cose/hpke_recipient.h"

#include <gtest/gtest.h>

#include "core/cose/cbor.h"
#include "core/crypto/errors.h"

namespace keystead::cose {
namespace {

class HpkeCoseTest : public testing::TestWithParam<bool> {
 protected:
  HpkePsk Psk() const { return GetParam() ? HpkePsk{&psk_, AsBytes("ks1 m1")} : HpkePsk{}; }
  HpkePsk OtherMode() const { return GetParam() ? HpkePsk{} : HpkePsk{&psk_, AsBytes("ks1 m1")}; }
  const crypto::EcdhKeyPair key_ = crypto::EcdhKeyPair::Generate().value();
  const crypto::EcdhKeyPair other_ = crypto::EcdhKeyPair::Generate().value();
  const SecretBytes psk_ = SecretBytes::CopyOf(Bytes(32, 3));
  const SecretBytes other_psk_ = SecretBytes::CopyOf(Bytes(32, 4));
  const HpkeBinding binding_{AsBytes("aad"), AsBytes("info"), AsBytes("hpke aad")};
};

TEST_P(HpkeCoseTest, Encrypt0RoundTripAndRefusals) {
  const Bytes object =
      SealHpkeEncrypt0(key_.public_key(), AsBytes("kid"), Psk(), binding_, AsBytes("content")).value();
  const auto open = [&](ByteView bytes, const crypto::EcdhKeyPair& key, const HpkePsk& psk,
                        const HpkeBinding& b) { return OpenHpkeEncrypt0(bytes, key, psk, b).status(); };
  const auto content = OpenHpkeEncrypt0(object, key_, Psk(), binding_);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_TRUE(Equal(content->ExposeSecret(), AsBytes("content")));
  EXPECT_EQ(open(object, other_, Psk(), binding_), crypto::OpenFailed());
  EXPECT_EQ(open(object, key_, OtherMode(), binding_), crypto::OpenFailed());
  EXPECT_EQ(open(object, key_, Psk(), {AsBytes("aae"), AsBytes("info"), {}}), crypto::OpenFailed());
  EXPECT_EQ(open(object, key_, Psk(), {AsBytes("aad"), AsBytes("infa"), {}}), crypto::OpenFailed());
  if (GetParam()) {
    EXPECT_EQ(open(object, key_, {&other_psk_, AsBytes("ks1 m1")}, binding_), crypto::OpenFailed());
    EXPECT_EQ(open(object, key_, {&psk_, AsBytes("ks1 m2")}, binding_), crypto::OpenFailed());
  }
  for (size_t size = 0; size < object.size(); ++size) {
    EXPECT_FALSE(open(ByteView(object).first(size), key_, Psk(), binding_).ok());
  }
  Bytes longer = object;
  longer.push_back(0);
  EXPECT_FALSE(open(longer, key_, Psk(), binding_).ok());
  const auto view = ParseHpkeEncrypt0(object);
  ASSERT_TRUE(view.ok());
  const size_t kid_at = static_cast<size_t>(view->kid.data() - object.data());
  for (size_t i = 0; i < object.size(); ++i) {
    if (i >= kid_at && i < kid_at + view->kid.size()) continue;  // a hint, not protected
    Bytes bad = object;
    bad[i] ^= 1;
    EXPECT_FALSE(open(bad, key_, Psk(), binding_).ok()) << i;
  }
}

TEST_P(HpkeCoseTest, EncryptToManyOpensForEachAndNobodyElse) {
  const std::vector<HpkeRecipientTo> to = {{other_.public_key(), ToBytes(std::string_view("b")), {}},
                                           {key_.public_key(), ToBytes(std::string_view("a")), Psk()}};
  const Bytes object = SealHpkeEncrypt(to, binding_, AsBytes("content")).value();
  const auto open = [&](const crypto::EcdhKeyPair& key, std::string_view kid, const HpkePsk& psk,
                        const HpkeBinding& b) {
    return OpenHpkeEncrypt(object, key, AsBytes(kid), psk, b).status();
  };
  EXPECT_TRUE(open(key_, "a", Psk(), binding_).ok());
  EXPECT_TRUE(open(key_, "", Psk(), binding_).ok()) << "found by trying";
  EXPECT_TRUE(open(other_, "b", {}, binding_).ok());
  const auto content = OpenHpkeEncrypt(object, key_, AsBytes("a"), Psk(), binding_);
  ASSERT_TRUE(content.ok());
  EXPECT_TRUE(Equal(content->ExposeSecret(), AsBytes("content")));
  EXPECT_EQ(open(key_, "b", {}, binding_), crypto::OpenFailed());
  EXPECT_EQ(open(key_, "c", Psk(), binding_), crypto::OpenFailed());
  EXPECT_EQ(open(key_, "a", OtherMode(), binding_), crypto::OpenFailed());
  EXPECT_EQ(open(key_, "a", Psk(), {AsBytes("x"), AsBytes("info"), AsBytes("hpke aad")}),
            crypto::OpenFailed());
  EXPECT_EQ(open(key_, "a", Psk(), {AsBytes("aad"), AsBytes("x"), AsBytes("hpke aad")}),
            crypto::OpenFailed());
  EXPECT_EQ(open(key_, "a", Psk(), {AsBytes("aad"), AsBytes("info"), AsBytes("x")}), crypto::OpenFailed());
}

TEST_P(HpkeCoseTest, EncryptRefusesEveryChangeToOwnParts) {
  const std::vector<HpkeRecipientTo> to = {{key_.public_key(), ToBytes(std::string_view("a")), Psk()}};
  const Bytes object = SealHpkeEncrypt(to, binding_, AsBytes("content")).value();
  for (size_t i = 0; i < object.size(); ++i) {
    Bytes bad = object;
    bad[i] ^= 1;
    EXPECT_FALSE(OpenHpkeEncrypt(bad, key_, AsBytes("a"), Psk(), binding_).ok()) << i;
  }
  for (size_t size = 0; size < object.size(); ++size) {
    EXPECT_FALSE(OpenHpkeEncrypt(ByteView(object).first(size), key_, AsBytes("a"), Psk(), binding_).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, HpkeCoseTest, testing::Bool());

TEST(HpkeCoseLimitsTest, RefusesShortPskMissingIdAndNoRecipient) {
  const auto key = crypto::EcdhKeyPair::Generate().value();
  const SecretBytes short_psk(31);
  const SecretBytes psk(32);
  EXPECT_FALSE(SealHpkeEncrypt0(key.public_key(), {}, {&short_psk, AsBytes("id")}, {}, {}).ok());
  EXPECT_FALSE(SealHpkeEncrypt0(key.public_key(), {}, {&psk, {}}, {}, {}).ok());
  EXPECT_FALSE(SealHpkeEncrypt0(key.public_key(), Bytes(65, 1), {}, {}, {}).ok());
  EXPECT_FALSE(SealHpkeEncrypt({}, {}, {}).ok());
}

TEST(HpkeCoseLimitsTest, RefusesHeadersInTheWrongBucketOrUnknown) {
  const std::string ek = "235841" + std::string(130, '4');
  const std::string ct = "50" + std::string(32, '0');
  const auto parses = [](const std::string& hex) { return ParseHpkeEncrypt0(FromHex(hex).value()).ok(); };
  EXPECT_TRUE(parses("8344a101182da1" + ek + ct));
  EXPECT_FALSE(parses("d08344a101182da1" + ek + ct)) << "tagged";
  EXPECT_FALSE(parses("8344a1011835a1" + ek + ct)) << "HPKE-7-KE";
  EXPECT_FALSE(parses("8340a201182d" + ek + ct)) << "unprotected alg";
  EXPECT_FALSE(parses("8344a101182da0" + ct)) << "no ek";
  EXPECT_FALSE(parses("8344a101182da2" + ek + "2441aa" + ct)) << "unprotected psk_id";
  EXPECT_FALSE(parses("8344a101182da20300" + ek + ct)) << "unknown header";
  EXPECT_FALSE(parses("8347a201182d0441aaa20441aa" + ek + ct)) << "kid in both headers";
  EXPECT_FALSE(parses("8344a101182da1235840" + std::string(128, '4') + ct)) << "short ek";
}

TEST(HpkeRecipientStructureTest, IsDeterministicCbor) {
  EXPECT_EQ(ToHex(HpkeRecipientStructure(FromHex("a1011835").value(), AsBytes("x"))),
            "846e48504b4520526563697069656e740344a10118354178");
}

}  // namespace
}  // namespace keystead::cose
