#include "core/cose/cose_key.h"

#include <gtest/gtest.h>

namespace keystead::cose {
namespace {

Bytes Hex(std::string_view hex) { return FromHex(hex).value(); }

// RFC 9679, section 6: the example key and its thumbprint.
constexpr char kX[] = "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d";
constexpr char kY[] = "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";
constexpr char kThumbprint[] = "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec";

TEST(CoseKeyTest, ThumbprintKnownAnswer) {
  const auto key = crypto::EcdsaPublicKey::FromXy(Hex(kX), Hex(kY));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(ToHex(EncodeCoseKey(*key)), std::string("a40102"
                                                    "2001"
                                                    "215820") +
                                            kX + "225820" + kY);
  EXPECT_EQ(Ckt(*key).ToHex(), kThumbprint);
}

TEST(CoseKeyTest, RoundTripAndRefusals) {
  const auto pair = crypto::EcdhKeyPair::Generate();
  ASSERT_TRUE(pair.ok());
  const Bytes encoded = EncodeCoseKey(pair->public_key());
  const auto decoded = DecodeEcdhKey(encoded);
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE(*decoded == pair->public_key());
  EXPECT_EQ(Ckt(*decoded), Ckt(pair->public_key()));

  for (size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(DecodeEcdhKey(ByteView(encoded).first(size)).ok()) << size;
  }
  Bytes longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(DecodeEcdhKey(longer).ok());
  for (size_t i = 0; i < encoded.size(); ++i) {
    Bytes bad = encoded;
    bad[i] ^= 1;
    EXPECT_FALSE(DecodeEcdhKey(bad).ok()) << "byte " << i;
  }
  const std::string xy = ToHex(encoded).substr(10);
  EXPECT_FALSE(DecodeEcdsaKey(Hex("a501020326"
                                  "2001" +
                                  xy))
                   .ok())
      << "a further member";
  EXPECT_FALSE(DecodeEcdsaKey(Hex("a501022001" + xy + "235820" + std::string(64, '1'))).ok())
      << "a private part";
}

}  // namespace
}  // namespace keystead::cose
