#include "core/crypto/hpke.h"

#include <gtest/gtest.h>

#include "core/crypto/errors.h"

namespace keystead::crypto {
namespace {

Bytes Hex(std::string_view hex) { return FromHex(hex).value(); }
SecretBytes Secret(std::string_view hex) { return SecretBytes::CopyOf(Hex(hex)); }

// RFC 9180, appendix A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, mode base.
TEST(HpkeTest, KnownAnswerBase) {
  const auto receiver =
      HpkeDeriveKeyPair(Secret("668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550"));
  const auto ephemeral =
      HpkeDeriveKeyPair(Secret("4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e"));
  ASSERT_TRUE(receiver.ok() && ephemeral.ok());
  EXPECT_EQ(ToHex(receiver->ExportPrivateScalar().ExposeSecret()),
            "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2");
  const Bytes info = Hex("4f6465206f6e2061204772656369616e2055726e");
  HpkeParams params{.info = info, .aead = HpkeAead::kAes128Gcm, .ephemeral_for_test = &*ephemeral};
  auto sender = HpkeSetupS(receiver->public_key(), params);
  ASSERT_TRUE(sender.ok());
  EXPECT_EQ(ToHex(sender->enc()),
            "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900"
            "be863c403c"
            "e65c9bfcb9382657222d18c4");
  const auto sealed =
      sender->Seal(AsBytes("Count-0"), Hex("4265617574792069732074727574682c20747275746820626561757479"));
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(ToHex(*sealed),
            "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434");
}

class HpkeRoundTripTest : public testing::TestWithParam<bool> {
 protected:
  HpkeParams Params() const {
    HpkeParams params{.info = AsBytes("info")};
    if (GetParam()) {
      params.psk = &psk_;
      params.psk_id = AsBytes("id");
    }
    return params;
  }
  const EcdhKeyPair receiver_ = EcdhKeyPair::Generate().value();
  const SecretBytes psk_ = SecretBytes::CopyOf(Bytes(32, 7));
};

TEST_P(HpkeRoundTripTest, MessagesOpenInOrderOnce) {
  auto sender = HpkeSetupS(receiver_.public_key(), Params());
  ASSERT_TRUE(sender.ok());
  auto receiver = HpkeSetupR(sender->enc(), receiver_, Params());
  ASSERT_TRUE(receiver.ok());
  const Bytes first = sender->Seal(AsBytes("aad"), AsBytes("one")).value();
  const Bytes second = sender->Seal(AsBytes("aad"), AsBytes("two")).value();
  EXPECT_EQ(receiver->Open(AsBytes("aad"), second).status(), OpenFailed()) << "reordered";
  ASSERT_TRUE(receiver->Open(AsBytes("aad"), first).ok()) << "a failure keeps the sequence";
  EXPECT_EQ(receiver->Open(AsBytes("aad"), first).status(), OpenFailed()) << "replayed";
  EXPECT_EQ(receiver->Open(AsBytes("aae"), second).status(), OpenFailed()) << "other AAD";
  const auto opened = receiver->Open(AsBytes("aad"), second);
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(Equal(opened->ExposeSecret(), AsBytes("two")));
  EXPECT_TRUE(sender->Export(AsBytes("x"), 32)->ConstantTimeEquals(*receiver->Export(AsBytes("x"), 32)));
  EXPECT_FALSE(sender->Export(AsBytes("x"), 32)->ConstantTimeEquals(*receiver->Export(AsBytes("y"), 32)));
}

TEST_P(HpkeRoundTripTest, OtherKeyInfoPskOrModeDoNotOpen) {
  auto sender = HpkeSetupS(receiver_.public_key(), Params());
  ASSERT_TRUE(sender.ok());
  const Bytes sealed = sender->Seal({}, AsBytes("one")).value();
  const auto open = [&](const EcdhKeyPair& key, const HpkeParams& params) {
    auto context = HpkeSetupR(sender->enc(), key, params);
    return context.ok() ? context->Open({}, sealed).status() : context.status();
  };
  EXPECT_TRUE(open(receiver_, Params()).ok());
  EXPECT_EQ(open(EcdhKeyPair::Generate().value(), Params()), OpenFailed());
  HpkeParams other_info = Params();
  other_info.info = AsBytes("onfi");
  EXPECT_EQ(open(receiver_, other_info), OpenFailed());
  const SecretBytes other_psk(32);
  HpkeParams other = Params();
  other.psk = &other_psk;
  other.psk_id = AsBytes("id");
  EXPECT_EQ(open(receiver_, other), OpenFailed());
  other.psk = GetParam() ? nullptr : &psk_;
  other.psk_id = GetParam() ? ByteView() : AsBytes("id");
  EXPECT_EQ(open(receiver_, other), OpenFailed()) << "other mode";
}

INSTANTIATE_TEST_SUITE_P(Modes, HpkeRoundTripTest, testing::Bool());

TEST(HpkeTest, RefusesShortPskAndHalfAPsk) {
  const auto receiver = EcdhKeyPair::Generate().value();
  const SecretBytes short_psk(31);
  const SecretBytes psk(32);
  for (const HpkeParams& bad : {HpkeParams{.psk = &short_psk, .psk_id = AsBytes("id")},
                                HpkeParams{.psk = &psk}, HpkeParams{.psk_id = AsBytes("id")}}) {
    EXPECT_EQ(HpkeSetupS(receiver.public_key(), bad).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(HpkeSetupR(receiver.public_key().point(), receiver, bad).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(HpkeTest, RefusesInvalidEncAndShortIkm) {
  const auto receiver = EcdhKeyPair::Generate().value();
  Bytes enc = ToBytes(receiver.public_key().point());
  enc[64] ^= 1;
  EXPECT_EQ(HpkeSetupR(enc, receiver, {}).status(), OpenFailed());
  EXPECT_EQ(HpkeSetupR({}, receiver, {}).status(), OpenFailed());
  EXPECT_EQ(HpkeSetupS(EcdhPublicKey(), {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(HpkeDeriveKeyPair(SecretBytes(31)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(HpkeTest, StopsAtTheMessageLimit) {
  const auto receiver = EcdhKeyPair::Generate().value();
  auto sender = HpkeSetupS(receiver.public_key(), {});
  ASSERT_TRUE(sender.ok());
  sender->SetSequenceForTest(UINT64_MAX);
  EXPECT_EQ(sender->Seal({}, {}).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace keystead::crypto
