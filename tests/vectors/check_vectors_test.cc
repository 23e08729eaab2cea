// The checker itself: each format is recognised, a changed byte fails, what lies outside the profile is
// counted as unsupported, and nothing a file lacks brings it down. Values: RFC 5869 A.1, RFC 9180 A.3.1, NIST
// GCM case 13.
#include "tests/vectors/check_vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace keystead::vectors {
namespace {

using Json = nlohmann::json;

Json Hkdf(const std::string& okm, const std::string& result) {
  return {{"algorithm", "HKDF-SHA-256"},
          {"testGroups",
           {{{"type", "HkdfTest"},
             {"tests",
              {{{"tcId", 1},
                {"ikm", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"},
                {"salt", "000102030405060708090a0b0c"},
                {"info", "f0f1f2f3f4f5f6f7f8f9"},
                {"size", 42},
                {"okm", okm},
                {"result", result}}}}}}}};
}

constexpr char kOkm[] =
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";

Json Gcm(const std::string& tag, const std::string& result) {
  return {{"algorithm", "AES-GCM"},
          {"testGroups",
           {{{"type", "AeadTest"},
             {"tagSize", 128},
             {"tests",
              {{{"tcId", 1},
                {"key", std::string(64, '0')},
                {"iv", std::string(24, '0')},
                {"aad", ""},
                {"msg", ""},
                {"ct", ""},
                {"tag", tag},
                {"result", result}}}}}}}};
}

constexpr char kGcmTag[] = "530f8afbc74536b9a963b4f1c4cb738b";

// cose-wg/Examples, sign1-tests/sign-pass-02.json (public domain), shortened.
Json Sign0() {
  return Json::parse(R"({"title":"t","input":{"plaintext":"This is the content.","sign0":{
    "key":{"kty":"EC","crv":"P-256","x":"usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8",
           "y":"IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4"},
    "protected":{"alg":"ES256"},"alg":"ES256","external":"11aa22bb33cc44dd55006699"}},
    "output":{"cbor":"D28443A10126A10442313154546869732069732074686520636F6E74656E742E584010729CD711CB3813D8D8E944A8DA7111E7B258C9BDCA6135F7AE1ADBEE9509891267837E1E33BD36C150326AE62755C6BD8E540C3E8F92D7D225E8DB72B8820B"}})");
}

Report Check(const Json& file) {
  const auto report = CheckText(file.dump());
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : Report{};
}

TEST(CheckVectorsTest, ValidVectorsPass) {
  EXPECT_EQ(Check(Hkdf(kOkm, "valid")).passed, 1u);
  EXPECT_EQ(Check(Gcm(kGcmTag, "valid")).passed, 1u);
  EXPECT_EQ(Check(Sign0()).passed, 1u);
}

TEST(CheckVectorsTest, ChangedValueFails) {
  std::string okm = kOkm;
  okm[0] = '4';
  EXPECT_EQ(Check(Hkdf(okm, "valid")).failed, 1u);
  std::string tag = kGcmTag;
  tag[0] = '4';
  EXPECT_EQ(Check(Gcm(tag, "valid")).failed, 1u);
  EXPECT_EQ(Check(Gcm(tag, "invalid")).passed, 1u);
  EXPECT_EQ(Check(Gcm(tag, "acceptable")).passed, 1u);
}

TEST(CheckVectorsTest, InvalidVectorThatIsAcceptedFails) {
  EXPECT_EQ(Check(Gcm(kGcmTag, "invalid")).failed, 1u);
  EXPECT_EQ(Check(Hkdf(kOkm, "invalid")).failed, 1u);
  Json must_fail = Sign0();
  must_fail["fail"] = true;
  EXPECT_EQ(Check(must_fail).failed, 1u);
}

TEST(CheckVectorsTest, CoseExampleWithOtherKeyTagOrAadFails) {
  Json other_aad = Sign0();
  other_aad["input"]["sign0"]["external"] = "11aa";
  EXPECT_EQ(Check(other_aad).failed, 1u);
  Json other_tag = Sign0();
  other_tag["output"]["cbor"].get_ref<std::string&>()[1] = '1';
  EXPECT_EQ(Check(other_tag).failed, 1u);
  other_tag["fail"] = true;
  EXPECT_EQ(Check(other_tag).passed, 1u);
}

TEST(CheckVectorsTest, OutsideTheProfileIsUnsupported) {
  Json long_iv = Gcm(kGcmTag, "valid");
  long_iv["testGroups"][0]["tests"][0]["iv"] = std::string(32, '0');
  EXPECT_EQ(Check(long_iv).unsupported[Unsupported::kGcmIvSize], 1u);
  Json mac = Sign0();
  mac["input"]["mac0"] = Json::object();
  EXPECT_EQ(Check(mac).unsupported[Unsupported::kCoseMac], 1u);
  EXPECT_EQ(Check(Json::array({{{"mode", 0}, {"kem_id", 32}, {"kdf_id", 1}, {"aead_id", 1}}}))
                .unsupported[Unsupported::kOtherKem],
            1u);
  EXPECT_EQ(Check(Json::array({{{"mode", 2}, {"kem_id", 16}, {"kdf_id", 1}, {"aead_id", 1}}}))
                .unsupported[Unsupported::kAuthMode],
            1u);
}

// Removes every field of every object in turn, and replaces it by another type: a report or an error, no
// crash.
void Mutilate(const Json& whole, Json& part) {
  if (!part.is_structured()) return;
  for (auto it = part.begin(); it != part.end(); ++it) {
    const Json saved = *it;
    for (const Json& other :
         {Json(), Json(-1), Json("zz"), Json::array(), Json::object(), Json::array({Json()})}) {
      *it = other;
      const auto report = CheckText(whole.dump());
      EXPECT_TRUE(!report.ok() || report->total() > 0);
    }
    *it = saved;
    Mutilate(whole, *it);
  }
}

TEST(CheckVectorsTest, MissingAndMistypedFieldsAreReportedNotFatal) {
  for (Json file : {Hkdf(kOkm, "valid"), Gcm(kGcmTag, "valid"), Sign0()}) Mutilate(file, file);
  Json no_key = Gcm(kGcmTag, "invalid");
  no_key["testGroups"][0]["tests"][0].erase("key");
  EXPECT_EQ(Check(no_key).failed, 1u) << "a missing field is no refusal";
}

TEST(CheckVectorsTest, UnknownFormatIsAnError) {
  for (const char* text : {"", "{", "[]", "{}", "null", R"({"testGroups":[],"algorithm":"AES-GCM"})",
                           R"({"algorithm":"RSA","testGroups":[{"type":"RsaTest","tests":[]}]})"}) {
    EXPECT_FALSE(CheckText(text).ok()) << text;
  }
  EXPECT_EQ(CheckFile("/nonexistent.json").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace keystead::vectors
