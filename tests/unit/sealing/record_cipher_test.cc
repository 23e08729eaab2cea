#include "core/sealing/record_cipher.h"

#include <gtest/gtest.h>

#include <set>

#include "core/base/mutants.h"
#include "core/base/random.h"
#include "core/cose/encrypt0.h"

namespace keystead {
namespace {

class RecordCipherTest : public testing::Test {
 protected:
  RecordCipherTest() {
    place_.tenant = TenantName::Parse("acme.keystead.example").value();
    place_.id = InstantiationId::FromHex("000102030405060708090a0b0c0d0e0f").value();
    place_.sender = MemberId::FromHex("101112131415161718191a1b1c1d1e1f").value();
    place_.topic = Topic::Of(TopicKind::kTelemetry, place_.sender);
    place_.epoch = 1;
    place_.stream = StreamId::FromHex("202122232425262728292a2b2c2d2e2f").value();
  }
  RecordCipher Make(const StreamPlace& place) { return RecordCipher::Create(key_, place).value(); }
  // The same fields but one, each named.
  std::vector<std::pair<std::string, StreamPlace>> Others() const {
    std::vector<std::pair<std::string, StreamPlace>> out(6, {"", place_});
    out[0].first = "tenant", out[0].second.tenant = TenantName::Parse("b.keystead.example").value();
    out[1].first = "instantiation", out[1].second.id = InstantiationId();
    out[2].first = "topic", out[2].second.topic = Topic::Of(TopicKind::kState, place_.sender);
    out[3].first = "sender", out[3].second.sender = MemberId();
    out[4].first = "epoch", out[4].second.epoch = 2;
    out[5].first = "stream", out[5].second.stream = StreamId();
    return out;
  }

  const SenderKey key_{SecretBytes::CopyOf(
      FromHex("6d9fbb543a2f3b01e9e92de07f03c023a1f2aec23706630e631c5d3b3341d2bb").value())};
  StreamPlace place_;
  Bytes plain_;
};

// Sealed by another AES-GCM, HKDF and CBOR encoder than this project's.
TEST_F(RecordCipherTest, KnownAnswer) {
  RecordCipher cipher = Make(place_);
  EXPECT_EQ(ToHex(cipher.kid()), "b753c669e8ab2b11");
  Bytes record;
  ASSERT_TRUE(cipher.Seal(0x1234, AsBytes("21.5 C"), record).ok());
  EXPECT_EQ(ToHex(record),
            "8343a10103a20448b753c669e8ab2b1106421234566a6cdfc0706b79f3b309a29d911d45aadf1f0f3ccee5");
  ASSERT_TRUE(cipher.Open(0x1234, record, plain_).ok());
  EXPECT_EQ(AsChars(plain_), "21.5 C");
}

TEST_F(RecordCipherTest, NoRecordOpensUnderAnotherHeader) {
  RecordCipher cipher = Make(place_);
  Bytes record;
  ASSERT_TRUE(cipher.Seal(5, AsBytes("x"), record).ok());
  for (const auto& [field, other] : Others()) {
    RecordCipher elsewhere = Make(other);
    EXPECT_FALSE(elsewhere.Open(5, record, plain_).ok()) << field;
    EXPECT_TRUE(plain_.empty());
  }
  EXPECT_FALSE(cipher.Open(6, record, plain_).ok()) << "sequence";
  EXPECT_TRUE(cipher.Open(5, record, plain_).ok());
}

// With key and nonce held the same, so that nothing but the external AAD can tell.
TEST_F(RecordCipherTest, TheAadAloneBindsEveryOuterField) {
  RecordCipher cipher = Make(place_);
  Bytes record;
  ASSERT_TRUE(cipher.Seal(5, AsBytes("x"), record).ok());
  EXPECT_TRUE(cipher.OpenAs(place_, 5, record, plain_).ok());
  for (const auto& [field, other] : Others())
    EXPECT_FALSE(cipher.OpenAs(other, 5, record, plain_).ok()) << field;
}

TEST_F(RecordCipherTest, TheKeyAloneTellsStreamsAndSendersApart) {
  StreamPlace other = place_;
  other.stream = StreamId();
  RecordCipher one = Make(place_);
  RecordCipher two = Make(other);
  EXPECT_NE(one.kid(), two.kid());
  Bytes record;
  ASSERT_TRUE(two.Seal(5, AsBytes("x"), record).ok());
  EXPECT_FALSE(one.OpenAs(other, 5, record, plain_).ok());
  RecordCipher stranger = RecordCipher::Create(SenderKey(SecretBytes(kSecretBytes)), place_).value();
  EXPECT_NE(one.kid(), stranger.kid());
}

TEST_F(RecordCipherTest, EveryByteIsBound) {
  RecordCipher cipher = Make(place_);
  Bytes record;
  ASSERT_TRUE(cipher.Seal(300, AsBytes("content"), record).ok());
  for (size_t i = 0; i < record.size(); ++i) {
    Bytes bad = record;
    bad[i] ^= 1;
    EXPECT_FALSE(cipher.Open(300, bad, plain_).ok()) << i;
  }
  for (size_t size = 0; size < record.size(); ++size)
    EXPECT_FALSE(cipher.Open(300, ByteView(record).first(size), plain_).ok());
  record.push_back(0);
  EXPECT_FALSE(cipher.Open(300, record, plain_).ok());
}

// Under AES-GCM, equal plaintexts with equal nonces give equal ciphertexts.
TEST_F(RecordCipherTest, NoNonceRepeats) {
  RecordCipher cipher = Make(place_);
  std::set<Bytes> seen;
  const uint64_t sequences[] = {0, 1, 2, 255, 256, 65535, 65536, uint64_t{1} << 24, ~uint64_t{0}};
  for (const uint64_t s : sequences) {
    Bytes record;
    ASSERT_TRUE(cipher.Seal(s, Bytes(16, 0), record).ok());
    EXPECT_TRUE(seen.insert(ToBytes(cose::ParseEncrypt0(record).value().ciphertext.first(16))).second) << s;
    EXPECT_TRUE(cipher.Open(s, record, plain_).ok());
  }
}

TEST_F(RecordCipherTest, ThePlaintextDoesNotShow) {
  RecordCipher cipher = Make(place_);
  const Bytes canary = ToBytes(std::string_view("canary canary canary"));
  Bytes record;
  ASSERT_TRUE(cipher.Seal(1, canary, record).ok());
  EXPECT_EQ(std::ranges::search(record, canary).begin(), record.end());
}

TEST_F(RecordCipherTest, SealAppends) {
  RecordCipher cipher = Make(place_);
  Bytes out = {9};
  ASSERT_TRUE(cipher.Seal(0, AsBytes("a"), out).ok());
  EXPECT_EQ(out[0], 9);
  EXPECT_TRUE(cipher.Open(0, ByteView(out).subspan(1), plain_).ok());
}

}  // namespace
}  // namespace keystead
