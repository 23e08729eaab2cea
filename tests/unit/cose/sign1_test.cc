#include "core/cose/sign1.h"

#include <gtest/gtest.h>

#include "core/cose/cbor.h"
#include "core/crypto/errors.h"

namespace keystead::cose {
namespace {

Bytes Hex(std::string_view hex) { return FromHex(hex).value(); }

constexpr std::string_view kTyp = "ks1/opening";

class Sign1Test : public testing::Test {
 protected:
  absl::Status Open(ByteView object) { return OpenSign1(object, key_.public_key(), kTyp, aad_).status(); }
  const crypto::EcdsaKeyPair key_ = crypto::EcdsaKeyPair::Generate().value();
  const Bytes aad_ = ToBytes(std::string_view("place"));
  const Bytes payload_ = ToBytes(std::string_view("payload"));
  const Bytes object_ = SignSign1(key_, kTyp, payload_, aad_).value();
};

TEST_F(Sign1Test, RoundTrip) {
  const auto payload = OpenSign1(object_, key_.public_key(), kTyp, aad_);
  ASSERT_TRUE(payload.ok());
  EXPECT_TRUE(Equal(*payload, payload_));
  EXPECT_EQ(ToHex(ByteView(object_).first(3)), "8450a2") << "untagged";
}

TEST_F(Sign1Test, RefusesEveryChange) {
  for (size_t i = 0; i < object_.size(); ++i) {
    Bytes bad = object_;
    bad[i] ^= 0x10;
    EXPECT_FALSE(Open(bad).ok()) << i;
  }
  for (size_t size = 0; size < object_.size(); ++size) EXPECT_FALSE(Open(ByteView(object_).first(size)).ok());
  Bytes longer = object_;
  longer.push_back(0);
  EXPECT_FALSE(Open(longer).ok());
}

TEST_F(Sign1Test, CannotBeLiftedElsewhere) {
  const auto other = crypto::EcdsaKeyPair::Generate().value();
  EXPECT_EQ(OpenSign1(object_, other.public_key(), kTyp, aad_).status(), crypto::BadSignature());
  EXPECT_EQ(OpenSign1(object_, key_.public_key(), "ks1/commit", aad_).status(), crypto::BadSignature());
  EXPECT_EQ(OpenSign1(object_, key_.public_key(), kTyp, AsBytes("other place")).status(),
            crypto::BadSignature());
  EXPECT_EQ(OpenSign1(object_, key_.public_key(), kTyp, {}).status(), crypto::BadSignature());
}

Bytes WithHeaders(const crypto::EcdsaKeyPair& key, const Bytes& header, std::string_view unprotected_hex) {
  const auto signature = key.Sign(SigStructure(header, {}, AsBytes("p")));
  CborWriter w;
  w.Array(4).Bstr(header).Raw(Hex(unprotected_hex)).Bstr(AsBytes("p")).Bstr(*signature);
  return w.Take();
}

TEST_F(Sign1Test, ReadsEsp256AndRefusesOtherHeadersEvenWhenSigned) {
  const auto header = [](int64_t alg) { return CborMap().Set(1, alg).Set(16, kTyp).Encode(); };
  EXPECT_TRUE(OpenSign1(WithHeaders(key_, header(-9), "a0"), key_.public_key(), kTyp, {}).ok());
  EXPECT_TRUE(OpenSign1(WithHeaders(key_, header(-7), "a0"), key_.public_key(), kTyp, {}).ok());
  const std::pair<const char*, Bytes> cases[] = {
      {"ES384", WithHeaders(key_, header(-35), "a0")},
      {"no typ", WithHeaders(key_, CborMap().Set(1, -7).Encode(), "a0")},
      {"no alg", WithHeaders(key_, CborMap().Set(16, kTyp).Encode(), "a0")},
      {"empty typ", WithHeaders(key_, CborMap().Set(1, -7).Set(16, "").Encode(), "a0")},
      {"further header",
       WithHeaders(key_, CborMap().Set(1, -7).Set(4, Bytes{1}).Set(16, kTyp).Encode(), "a0")},
      {"unprotected kid", WithHeaders(key_, header(-7), "a10441aa")},
      {"no protected header", WithHeaders(key_, {}, "a0")},
  };
  for (const auto& [name, object] : cases) {
    EXPECT_EQ(ParseSign1(object).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
  Bytes tagged = {0xd2};
  Append(tagged, object_);
  EXPECT_FALSE(ParseSign1(tagged).ok());
}

TEST_F(Sign1Test, TypIsLimited) {
  EXPECT_TRUE(SignSign1(key_, std::string(kMaxTypBytes, 'x'), payload_, aad_).ok());
  EXPECT_FALSE(SignSign1(key_, std::string(kMaxTypBytes + 1, 'x'), payload_, aad_).ok());
  EXPECT_FALSE(SignSign1(key_, "", payload_, aad_).ok());
}

TEST(SigStructureTest, KnownAnswer) {
  // RFC 9052, appendix C.2.1 (COSE Sign1): ToBeSigned of the example with ES256.
  EXPECT_EQ(ToHex(SigStructure(Hex("a10126"), {}, AsBytes("This is the content."))),
            "846a5369676e61747572653143a101264054546869732069732074686520636f6e74656e742e");
  const auto key =
      crypto::EcdsaPublicKey::FromXy(Hex("bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff"),
                                     Hex("20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e"));
  ASSERT_TRUE(key.ok());
  EXPECT_TRUE(key->Verify(SigStructure(Hex("a10126"), {}, AsBytes("This is the content.")),
                          Hex("8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e"
                              "2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36"))
                  .ok());
}

}  // namespace
}  // namespace keystead::cose
