#include "core/crypto/hash.h"

#include <gtest/gtest.h>

#include "core/crypto/evp_hash.h"
#include "core/crypto/hkdf.h"

namespace keystead::crypto {
namespace {

Bytes Hex(std::string_view hex) { return FromHex(hex).value(); }

TEST(Sha256Test, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(Sha256(ByteView()).ToHex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256(AsBytes("abc")).ToHex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, PartsAndIncrementalEqualTheWhole) {
  const Digest whole = Sha256(AsBytes("abcdef"));
  EXPECT_EQ(Sha256({AsBytes("ab"), AsBytes(""), AsBytes("cdef")}), whole);
  Sha256Hasher hasher;
  hasher.Update(AsBytes("abc"));
  Sha256(AsBytes("in between"));  // the thread's own context must not disturb it
  hasher.Update(AsBytes("def"));
  EXPECT_EQ(hasher.Finish(), whole);
  EXPECT_EQ(hasher.Finish(), Sha256(ByteView())) << "Finish starts anew";
  EXPECT_NE(Sha256(AsBytes("abcdeg")), whole);
}

TEST(HmacSha256Test, KnownAnswers) {  // RFC 4231, sections 4.2 and 4.7
  EXPECT_EQ(HmacSha256(Bytes(20, 0x0b), AsBytes("Hi There")).ToHex(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(
      HmacSha256(Bytes(131, 0xaa), AsBytes("Test Using Larger Than Block-Size Key - Hash Key First")).ToHex(),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HkdfTest, KnownAnswers) {  // RFC 5869, appendices A.1 and A.3
  const Bytes ikm(22, 0x0b);
  const SecretBytes prk = HkdfExtract(Hex("000102030405060708090a0b0c"), ByteView(ikm));
  EXPECT_EQ(ToHex(prk.ExposeSecret()), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  const auto okm = HkdfExpand(prk, Hex("f0f1f2f3f4f5f6f7f8f9"), 42);
  ASSERT_TRUE(okm.ok());
  EXPECT_EQ(ToHex(okm->ExposeSecret()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  const auto no_salt = HkdfExpand(HkdfExtract(ByteView(), ByteView(ikm)), "", 42);
  ASSERT_TRUE(no_salt.ok());
  EXPECT_EQ(ToHex(no_salt->ExposeSecret()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(HkdfTest, LengthIsLimited) {
  const SecretBytes prk(32);
  EXPECT_TRUE(HkdfExpand(prk, "x", kHkdfMaxBytes).ok());
  EXPECT_EQ(HkdfExpand(prk, "x", kHkdfMaxBytes + 1).status().code(), absl::StatusCode::kInvalidArgument);
}

// The hashes that only published vectors need.
TEST(EvpHashTest, KnownAnswers) {  // FIPS 180-4 and FIPS 202 examples of "abc"; RFC 4231, section 4.2
  EXPECT_EQ(ToHex(EvpHash("SHA1", AsBytes("abc")).value()), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(ToHex(EvpHash("SHA3-256", AsBytes("abc")).value()),
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
  EXPECT_EQ(ToHex(EvpHash("SHAKE128", AsBytes(""), 32).value()),
            "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
  EXPECT_EQ(
      ToHex(EvpHmac("SHA384", Bytes(20, 0x0b), AsBytes("Hi There")).value().ExposeSecret()),
      "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6");
}

TEST(EvpHashTest, AgreesWithOurOwnSha256) {
  const Bytes key(70, 0xaa);
  const Bytes none;
  EXPECT_EQ(ToHex(EvpHash("SHA256", key).value()), Sha256(key).ToHex());
  EXPECT_EQ(ToHex(EvpHmac("SHA256", key, key).value().ExposeSecret()), HmacSha256(key, key).ToHex());
  EXPECT_EQ(ToHex(EvpHmac("SHA256", none, none).value().ExposeSecret()), HmacSha256(none, none).ToHex());
  const SecretBytes prk = HkdfExtract(ByteView(none), ByteView(key));
  EXPECT_TRUE(EvpHkdfExtract("SHA256", none, key).value().ConstantTimeEquals(prk));
  for (const size_t length : {size_t{0}, size_t{1}, size_t{32}, size_t{33}, kHkdfMaxBytes}) {
    EXPECT_TRUE(EvpHkdfExpand("SHA256", prk, AsBytes("info"), length)
                    .value()
                    .ConstantTimeEquals(HkdfExpand(prk, "info", length).value()))
        << length;
  }
  EXPECT_FALSE(EvpHkdfExpand("SHA256", prk, AsBytes("info"), kHkdfMaxBytes + 1).ok());
}

TEST(EvpHashTest, UnknownNamesAreTold) {
  EXPECT_EQ(EvpHash("SHA257", AsBytes("abc")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(EvpHmac("", AsBytes("abc"), AsBytes("abc")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace keystead::crypto
