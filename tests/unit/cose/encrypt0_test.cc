#include "core/cose/encrypt0.h"

#include <gtest/gtest.h>

#include "core/crypto/errors.h"

namespace keystead::cose {
namespace {

Bytes Hex(std::string_view hex) { return FromHex(hex).value(); }

class Encrypt0Test : public testing::Test {
 protected:
  static crypto::Aes256Gcm Make(uint8_t fill) {
    return crypto::Aes256Gcm::Create(SecretBytes::CopyOf(Bytes(32, fill))).value();
  }
  Bytes Seal(uint64_t sequence, ByteView plaintext) {
    Bytes out;
    EXPECT_TRUE(AppendEncrypt0(aead_, nonce_, kid_, sequence, aad_, plaintext, out).ok());
    return out;
  }
  absl::Status Open(ByteView object, crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, ByteView aad) {
    const auto view = ParseEncrypt0(object);
    if (!view.ok()) return view.status();
    Bytes out;
    return OpenEncrypt0(aead, nonce, *view, aad, out);
  }
  crypto::Aes256Gcm aead_ = Make(1);
  const crypto::AeadNonce nonce_{5};
  const Bytes kid_ = Hex("0102030405060708");
  const Bytes aad_ = ToBytes(std::string_view("external"));
  const Bytes plaintext_ = ToBytes(std::string_view("reading"));
};

TEST_F(Encrypt0Test, ShapeIsFixed) {
  const Bytes object = Seal(256, plaintext_);
  EXPECT_EQ(ToHex(ByteView(object).first(20)), "8343a10103a20448010203040506070806420100");
  EXPECT_EQ(object.size(), Encrypt0Size(kid_.size(), 256, plaintext_.size()));
}

TEST_F(Encrypt0Test, RoundTripForEverySequenceWidth) {
  for (const uint64_t sequence :
       {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, uint64_t{1} << 24, UINT64_MAX}) {
    for (const size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{250}, size_t{70000}}) {
      const Bytes plaintext(size, 0x70);
      const Bytes object = Seal(sequence, plaintext);
      EXPECT_EQ(object.size(), Encrypt0Size(kid_.size(), sequence, size));
      const auto view = ParseEncrypt0(object);
      ASSERT_TRUE(view.ok()) << view.status();
      EXPECT_EQ(view->sequence, sequence);
      EXPECT_TRUE(Equal(view->kid, kid_));
      Bytes out = {1};
      ASSERT_TRUE(OpenEncrypt0(aead_, nonce_, *view, aad_, out).ok());
      EXPECT_TRUE(Equal(ByteView(out).subspan(1), plaintext));
    }
  }
}

TEST_F(Encrypt0Test, StringAndBytesAgree) {
  std::string text = "before";
  ASSERT_TRUE(AppendEncrypt0(aead_, nonce_, kid_, 3, aad_, plaintext_, text).ok());
  EXPECT_EQ(text, "before" + ToString(Seal(3, plaintext_)));
}

TEST_F(Encrypt0Test, RefusesEveryChange) {
  const Bytes object = Seal(7, plaintext_);
  ASSERT_TRUE(Open(object, aead_, nonce_, aad_).ok());
  const auto view = ParseEncrypt0(object);
  ASSERT_TRUE(view.ok());
  const size_t kid_at = static_cast<size_t>(view->kid.data() - object.data());
  const size_t iv_at = static_cast<size_t>(view->partial_iv.data() - object.data());
  for (size_t i = 0; i < object.size(); ++i) {
    // kid and Partial IV are bound by the caller, through key and nonce.
    if ((i >= kid_at && i < kid_at + kid_.size()) || i == iv_at) continue;
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = object;
      bad[i] ^= static_cast<uint8_t>(1 << bit);
      EXPECT_FALSE(Open(bad, aead_, nonce_, aad_).ok()) << i << "." << bit;
    }
  }
  for (size_t size = 0; size < object.size(); ++size) {
    EXPECT_FALSE(Open(ByteView(object).first(size), aead_, nonce_, aad_).ok());
  }
  Bytes longer = object;
  longer.push_back(0);
  EXPECT_FALSE(Open(longer, aead_, nonce_, aad_).ok());
  crypto::Aes256Gcm other = Make(2);
  EXPECT_EQ(Open(object, other, nonce_, aad_), crypto::OpenFailed());
  EXPECT_EQ(Open(object, aead_, crypto::AeadNonce{6}, aad_), crypto::OpenFailed());
  EXPECT_EQ(Open(object, aead_, nonce_, AsBytes("external2")), crypto::OpenFailed());
}

TEST_F(Encrypt0Test, RefusesOtherShapes) {
  const std::string tail = "51" + std::string(34, '0');
  const std::string good = "8343a10103a20441aa064101" + tail;
  ASSERT_TRUE(ParseEncrypt0(Hex(good)).ok());
  const std::pair<const char*, std::string> cases[] = {
      {"tagged", "d0" + good},
      {"A128GCM", "8343a10101a20441aa064101" + tail},
      {"empty protected", "8340a20441aa064101" + tail},
      {"protected h'a0'", "8341a0a20441aa064101" + tail},
      {"further protected header", "8345a201030400a20441aa064101" + tail},
      {"full IV", "8343a10103a20441aa054101" + tail},
      {"further unprotected header",
       "8343a10103a30441aa05410106410"
       "1" +
           tail},
      {"no kid", "8343a10103a1064101" + tail},
      {"empty kid", "8343a10103a20440064101" + tail},
      {"empty Partial IV", "8343a10103a20441aa0640" + tail},
      {"Partial IV with leading zero", "8343a10103a20441aa06420001" + tail},
      {"Partial IV of 9 bytes", "8343a10103a20441aa0649010000000000000000" + tail},
      {"kid of 65 bytes", "8343a10103a2045841" + std::string(130, '1') + "064101" + tail},
      {"ciphertext shorter than a tag", "8343a10103a20441aa0641014f" + std::string(30, '0')},
      {"null ciphertext", "8343a10103a20441aa064101f6"},
      {"text kid",
       "8343a10103a20461610641"
       "01" +
           tail},
      {"array of 4", "8443a10103a20441aa064101" + tail + "40"},
  };
  for (const auto& [name, hex] : cases) {
    EXPECT_EQ(ParseEncrypt0(Hex(hex)).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST_F(Encrypt0Test, BadKidIsRefusedOnSealing) {
  Bytes out;
  EXPECT_FALSE(AppendEncrypt0(aead_, nonce_, {}, 0, aad_, plaintext_, out).ok());
  EXPECT_FALSE(AppendEncrypt0(aead_, nonce_, Bytes(65, 1), 0, aad_, plaintext_, out).ok());
  EXPECT_TRUE(out.empty());
}

TEST(EncStructureTest, KnownAnswers) {
  // cose-wg/Examples, aes-gcm-enc-01 and RFC 9052, section 5.3: an empty map counts as no bytes.
  EXPECT_EQ(ToHex(EncStructure("Encrypt0", Hex("a10101"), {})), "8368456e63727970743043a1010140");
  EXPECT_EQ(EncStructure("Encrypt0", Hex("a0"), {}), EncStructure("Encrypt0", {}, {}));
}

}  // namespace
}  // namespace keystead::cose
