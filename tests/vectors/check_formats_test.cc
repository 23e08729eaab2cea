// Every format of keystead-check-vectors in every shape in which it is published, with known answers of
// public documents: RFC 4231 (HMAC), RFC 5903 section 8.1 (ECDH), RFC 6979 A.2.5 (ECDSA), RFC 9180 A.4.1
// (HPKE). Each vector passes as it stands, fails when its value or its verdict is another, and a file that
// lacks a field fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/vectors/check_vectors.h"

namespace keystead::vectors {
namespace {

using Json = nlohmann::json;

Report Check(const Json& file) {
  const auto report = CheckText(file.dump());
  EXPECT_TRUE(report.ok()) << report.status() << file.dump();
  return report.ok() ? *report : Report{};
}

// What the program makes of it: exit code 1.
bool Fails(const Json& file) {
  const auto report = CheckText(file.dump());
  return !report.ok() || report->failed > 0;
}

Json Wycheproof(const std::string& algorithm, Json group, Json test) {
  test["tcId"] = 1;
  test["comment"] = "";
  test["flags"] = Json::array();
  test["result"] = "valid";
  group["tests"] = Json::array({std::move(test)});
  return {{"algorithm", algorithm}, {"numberOfTests", 1}, {"testGroups", Json::array({std::move(group)})}};
}

Json& Group(Json& file) { return file["testGroups"][0]; }
Json& Vector(Json& file) { return file["testGroups"][0]["tests"][0]; }

Json With(Json file, const std::function<void(Json&)>& change) {
  change(file);
  return file;
}
Json WithResult(Json file, const char* result) {
  Vector(file)["result"] = result;
  return file;
}

std::string Repeat(const std::string& hex, int times) {
  std::string out;
  while (times-- > 0) out += hex;
  return out;
}

// RFC 4231, section 4.2 (test case 1) and, with 128 bits of the tag, section 4.6 (test case 5).
Json Hmac(const std::string& algorithm, int tag_bits, const std::string& tag) {
  return Wycheproof(algorithm, {{"type", "MacTest"}, {"keySize", 160}, {"tagSize", tag_bits}},
                    {{"key", Repeat("0b", 20)}, {"msg", "4869205468657265"}, {"tag", tag}});
}
constexpr char kHmac256[] = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
constexpr char kHmac512[] =
    "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914e"
    "eb61"
    "f1702e696c203a126854";
Json CutHmac() {
  Json file = Hmac("HMACSHA256", 128, "a3b6167473100ee06e0c796c2955552b");
  Vector(file)["key"] = Repeat("0c", 20);
  Vector(file)["msg"] = "546573742057697468205472756e636174696f6e";
  return file;
}

// RFC 5903, section 8.1: the initiator's private key and the responder's public one.
constexpr char kScalar[] = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
constexpr char kPoint[] =
    "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
    "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab";
constexpr char kShared[] = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";
constexpr char kSpkiHead[] = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

Json Ecdh(const char* type, const char* curve, const char* encoding, Json public_key, Json private_key) {
  return Wycheproof(
      "ECDH", {{"type", type}, {"curve", curve}, {"encoding", encoding}},
      {{"public", std::move(public_key)}, {"private", std::move(private_key)}, {"shared", kShared}});
}
Json EcdhPoint() { return Ecdh("EcdhEcpointTest", "secp256r1", "ecpoint", kPoint, kScalar); }
Json EcdhSpki() {
  return Ecdh("EcdhTest", "secp256r1", "asn", std::string(kSpkiHead) + kPoint, std::string("00") + kScalar);
}
Json EcdhJwk() {
  return Ecdh("EcdhWebcryptoTest", "P-256", "webcrypto",
              {{"kty", "EC"},
               {"crv", "P-256"},
               {"x", "0S37UonI1PgSCLcCcDmMNCKWlwoLzLdMc2_HVUSUv2M"},
               {"y", "VvvzyjZswj6BV4VME8WNaqwj8Eatow-DU-dPMwOYcqs"},
               {"kid", "none"}},
              {{"kty", "EC"}, {"crv", "P-256"}, {"d", "yI8B9RDZrD9wopLaojFt5UTpqriv6EBJxiqcV4YtFDM"}});
}
Json EcdhPem() {
  return Ecdh("EcdhPemTest", "secp256r1", "pem",
              "-----BEGIN PUBLIC "
              "KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0S37UonI1PgSCLcCcDmMNCKWlwoL\nzLdMc2/HVUSUv2NW+/"
              "PKNmzCPoFXhUwTxY1qrCPwRq2jD4NT508zA5hyqw==\n-----END PUBLIC KEY-----\n",
              "-----BEGIN PRIVATE "
              "KEY-----\nMEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCDIjwH1ENmsP3Ciktqi\nMW3lROmquK/"
              "oQEnGKpxXhi0UMw==\n-----END PRIVATE KEY-----");
}

// RFC 6979, A.2.5, message "sample".
Json EcdsaKey() {
  return {{"type", "EcPublicKey"},
          {"curve", "secp256r1"},
          {"keySize", 256},
          {"uncompressed",
           "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
           "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"}};
}
Json Ecdsa(const char* type, const char* key_field, const char* sha, const std::string& signature) {
  return Wycheproof("ECDSA", {{"type", type}, {key_field, EcdsaKey()}, {"sha", sha}},
                    {{"msg", "73616d706c65"}, {"sig", signature}});
}
constexpr char kDer256[] =
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436c7a1"
    "b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
constexpr char kRaw256[] =
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
constexpr char kRaw512[] =
    "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00"
    "2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe";

// RFC 9180, A.4.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA512, AES-128-GCM; sequence numbers 0, 1, 2 and,
// named, 4.
Json Hpke() {
  const auto encryption = [](const char* aad, const char* ct) {
    return Json{
        {"pt", "4265617574792069732074727574682c20747275746820626561757479"}, {"aad", aad}, {"ct", ct}};
  };
  Json first = encryption(
      "436f756e742d30",
      "d3cf4984931484a080f74c1bb2a6782700dc1fef9abe8442e44a6f09044c88907200b332003543754eb51917ba");
  first["nonce"] = "9c995e621bf9a20c5ca45546";
  Json fourth = encryption(
      "436f756e742d34",
      "a531c0655342be013bf32112951f8df1da643602f1866749519f5dcb09cc68432579de305a77e6864e862a7600");
  fourth["seq"] = 4;
  const char pk_e[] =
      "0493ed86735bdfb978cc055c98b45695ad7ce61ce748f4dd63c525a3b8d53a15565c6897888070070c1579db1f86aaa56deb82"
      "97e64db7"
      "e8924e72866f9a472580";
  return Json::array(
      {{{"mode", 0},
        {"kem_id", 16},
        {"kdf_id", 3},
        {"aead_id", 1},
        {"info", "4f6465206f6e2061204772656369616e2055726e"},
        {"ikmE", "4ab11a9dd78c39668f7038f921ffc0993b368171d3ddde8031501ee1e08c4c9a"},
        {"pkEm", pk_e},
        {"skEm", "2292bf14bb6e15b8c81a0f45b7a6e93e32d830e48cca702e0affcfb4d07e1b5c"},
        {"ikmR", "ea9ff7cc5b2705b188841c7ace169290ff312a9cb31467784ca92d7a2e6e1be8"},
        {"pkRm",
         "04085aa5b665dc3826f9650ccbcc471be268c8ada866422f739e2d531d4a8818a9466bc6b449357096232919ec4fe9070cc"
         "b"
         "ac4aac30f4a1a53efcf7af90610edd"},
        {"skRm", "3ac8530ad1b01885960fab38cf3cdc4f7aef121eaa239f222623614b4079fb38"},
        {"enc", pk_e},
        {"base_nonce", "9c995e621bf9a20c5ca45546"},
        {"encryptions",
         {first,
          encryption(
              "436f756e742d31",
              "d14414555a47269dfead9fbf26abb303365e40709a4ed16eaefe1f2070f1ddeb1bdd94d9e41186f124e0acc62d"),
          encryption(
              "436f756e742d32",
              "9bba136cade5c4069707ba91a61932e2cbedda2d9c7bdc33515aa01dd0e0f7e9d3579bf4016dec37da4aafa800"),
          fourth}},
        {"exports",
         {{{"exporter_context", "00"},
           {"L", 32},
           {"exported_value", "84998b304a0ea2f11809398755f0abd5f9d2c141d1822def79dd15c194803c2a"}}}}}});
}

// draft-ietf-cose-hpke, appendix on test vectors: HPKE-7 in mode base.
Json CoseHpke() {
  return {{"plaintext", "hpke test payload"},
          {"vectors",
           {{{"alg", "HPKE-7"},
             {"mode", "base"},
             {"structure", "COSE_Encrypt0"},
             {"external_aad", "external-aad"},
             {"info", ""},
             {"hpke_aad", ""},
             {"recipient_private_cose_key_hex",
              "a70102024e626f622d68706b655f372d696e7403182d2001215820df717fb8deae1b58b754487c5432c8ec9a140dd1"
              "1bcc7cd65cbe4b728e9263d6225820a8528d6143673203144a9636ea065c60761390916f2218c8db958a64e263d3e0"
              "2358202343a73ed3dc2b5e110d734c8d5e7a8b7fea63849e78a8db3da48a65ecdb720e"},
             {"message_hex",
              "d08344a101182da2044e626f622d68706b655f372d696e74235841046a563d7eea744ccbacc9ea6df50e002d8b235f"
              "abc7023d51c75e5ba22af4102c1c20954d6cc1b2b63f893d504301c94fc37ba89084d04ca59f96581d87435f215821"
              "d619e5c0189533c39c353cab4db8a939225c170e840915b27503b9de88f5451beb"}}}}};
}

// cose-wg/Examples, ecdsa-examples/ecdsa-sig-04.json (public domain), shortened: ES512 over P-256.
Json Sign0() {
  return Json::parse(R"({"title":"t","input":{"plaintext":"This is the content.","sign0":{
    "key":{"kty":"EC","crv":"P-256","x":"usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8",
           "y":"IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4"},
    "protected":{"alg":"ES512"},"alg":"ES512"}},
    "output":{"cbor":"D28444A1013823A10442313154546869732069732074686520636F6E74656E742E5840EB18B84ED674284E5ED861C3943E101BED5DB9F560C0F0292B34362990D1C59B10DF7946CBC6CA3DCBD6C17A6DD1D711F50337BAA6B4FCFAE0EFC70E52C1DE0F"}})");
}

// cose-wg/Examples, encrypted-tests/enc-pass-02.json (public domain), shortened.
Json Encrypted() {
  return Json::parse(R"({
 "title": "enc-pass-02: Add external data",
 "input": {
  "plaintext": "This is the content.",
  "encrypted": {
   "protected": {
    "alg": "A128GCM"
   },
   "external": "0011bbcc22dd4455dd220099",
   "recipients": [
    {
     "key": {
      "kty": "oct",
      "kid": "our-secret",
      "use": "enc",
      "k": "hJtXIZ2uSN5kbQfbtTNWbg"
     },
     "unprotected": {
      "alg": "direct",
      "kid": "our-secret"
     }
    }
   ]
  }
 },
 "output": {
  "cbor": "D08343A10101A1054C02D1F7E6F26C43D4868D87CE582460973A94BB2898009EE52ECFD9AB1DD25867374B1DC3A143880CA2883A5630DA08AE1E6E"
 }
})");
}

struct Format {
  const char* name;
  Json file;
  const char* value;                  // JSON pointer of what must not change
  std::vector<const char*> required;  // JSON pointers of what must not be missing or of another type
};

std::vector<Format> Formats() {
  const std::vector<const char*> ecdh = {"/testGroups/0/curve",          "/testGroups/0/encoding",
                                         "/testGroups/0/type",           "/testGroups/0/tests",
                                         "/testGroups/0/tests/0/public", "/testGroups/0/tests/0/private",
                                         "/testGroups/0/tests/0/shared", "/testGroups/0/tests/0/result"};
  const std::vector<const char*> mac = {"/algorithm",
                                        "/testGroups/0/tagSize",
                                        "/testGroups/0/tests/0/key",
                                        "/testGroups/0/tests/0/msg",
                                        "/testGroups/0/tests/0/tag",
                                        "/testGroups/0/tests/0/result"};
  const std::vector<const char*> ecdsa = {"/testGroups/0/sha", "/testGroups/0/tests/0/msg",
                                          "/testGroups/0/tests/0/sig", "/testGroups/0/tests/0/result"};
  std::vector<const char*> ecdsa_v1 = ecdsa;
  ecdsa_v1.insert(ecdsa_v1.end(), {"/testGroups/0/publicKey", "/testGroups/0/publicKey/curve",
                                   "/testGroups/0/publicKey/uncompressed"});
  static constexpr char kSharedAt[] = "/testGroups/0/tests/0/shared";
  static constexpr char kTagAt[] = "/testGroups/0/tests/0/tag";
  static constexpr char kSigAt[] = "/testGroups/0/tests/0/sig";
  return {
      {"HmacSha256", Hmac("HMACSHA256", 256, kHmac256), kTagAt, mac},
      {"HmacSha256Cut", CutHmac(), kTagAt, mac},
      {"HmacSha512", Hmac("HMACSHA512", 512, kHmac512), kTagAt, mac},
      {"EcdhPoint", EcdhPoint(), kSharedAt, ecdh},
      {"EcdhSpki", EcdhSpki(), kSharedAt, ecdh},
      {"EcdhJwk", EcdhJwk(), kSharedAt, ecdh},
      {"EcdhPem", EcdhPem(), kSharedAt, ecdh},
      {"EcdsaDer", Ecdsa("EcdsaVerify", "publicKey", "SHA-256", kDer256), kSigAt, ecdsa_v1},
      {"EcdsaDerOld", Ecdsa("EcdsaVerify", "key", "SHA-256", kDer256), kSigAt, ecdsa},
      {"EcdsaP1363", Ecdsa("EcdsaP1363Verify", "publicKey", "SHA-256", kRaw256), kSigAt, ecdsa_v1},
      {"EcdsaP1363Old", Ecdsa("EcdsaP1363Verify", "key", "SHA-256", kRaw256), kSigAt, ecdsa},
      {"EcdsaSha512", Ecdsa("EcdsaP1363Verify", "publicKey", "SHA-512", kRaw512), kSigAt, ecdsa_v1},
      {"Hpke",
       Hpke(),
       "/0/encryptions/2/ct",
       {"/0/mode", "/0/kem_id", "/0/kdf_id", "/0/aead_id", "/0/info", "/0/ikmE", "/0/ikmR", "/0/skRm",
        "/0/pkEm", "/0/enc", "/0/base_nonce", "/0/encryptions", "/0/encryptions/0/aad", "/0/encryptions/0/pt",
        "/0/encryptions/0/ct", "/0/exports", "/0/exports/0/L", "/0/exports/0/exported_value"}},
      {"CoseHpke",
       CoseHpke(),
       "/vectors/0/message_hex",
       {"/plaintext", "/vectors", "/vectors/0/alg", "/vectors/0/mode", "/vectors/0/structure",
        "/vectors/0/external_aad", "/vectors/0/info", "/vectors/0/message_hex",
        "/vectors/0/recipient_private_cose_key_hex"}},
      {"CoseSign0",
       Sign0(),
       "/output/cbor",
       {"/input/plaintext", "/input/sign0/key", "/input/sign0/key/kty", "/input/sign0/key/crv",
        "/input/sign0/key/x", "/output/cbor"}},
      {"CoseEncrypted",
       Encrypted(),
       "/output/cbor",
       {"/input/plaintext", "/input/encrypted/recipients", "/input/encrypted/recipients/0/key",
        "/input/encrypted/recipients/0/key/k", "/output/cbor"}},
  };
}

TEST(CheckFormatsTest, PublishedVectorsPass) {
  for (const Format& format : Formats()) {
    const Report report = Check(format.file);
    EXPECT_EQ(report.passed, 1u) << format.name << ": " << testing::PrintToString(report.failures);
  }
}

TEST(CheckFormatsTest, AnotherValueFails) {
  for (const Format& format : Formats()) {
    Json file = format.file;
    std::string& hex = file[Json::json_pointer(format.value)].get_ref<std::string&>();
    hex.back() = hex.back() == '0' ? '1' : '0';
    EXPECT_TRUE(Fails(file)) << format.name;
  }
}

TEST(CheckFormatsTest, MissingOrMistypedFieldsFail) {
  for (const Format& format : Formats()) {
    for (const char* path : format.required) {
      const Json::json_pointer at(path);
      Json missing = format.file;
      missing[at.parent_pointer()].erase(at.back());
      EXPECT_TRUE(Fails(missing)) << format.name << " without " << path;
      for (const Json& other : {Json(), Json(-1), Json("zz"), Json::array(), Json::object(), Json(1.5)}) {
        Json file = format.file;
        file[at] = other;
        EXPECT_TRUE(Fails(file)) << format.name << " with " << path << " = " << other;
      }
    }
  }
}

// Every field of every object in turn, also those nobody needs, and every text at half its length.
void Mutilate(const Json& whole, Json& part, size_t& tried) {
  if (!part.is_structured()) return;
  for (auto it = part.begin(); it != part.end(); ++it) {
    const Json saved = *it;
    std::vector<Json> others = {Json(),        Json(-1),       Json(uint64_t{1} << 63), Json("zz"),
                                Json::array(), Json::object(), Json::array({Json()})};
    if (saved.is_string())
      others.push_back(saved.get<std::string>().substr(0, saved.get<std::string>().size() / 2));
    for (const Json& other : others) {
      *it = other;
      const auto report = CheckText(whole.dump());
      EXPECT_TRUE(!report.ok() || report->total() > 0);
      ++tried;
    }
    *it = saved;
    Mutilate(whole, *it, tried);
  }
}

TEST(CheckFormatsTest, NothingAFileSaysBringsTheCheckerDown) {
  size_t tried = 0;
  for (Format& format : Formats()) Mutilate(format.file, format.file, tried);
  EXPECT_GT(tried, 1000u);
}

TEST(CheckFormatsTest, TruncatedFilesFail) {
  for (const Format& format : Formats()) {
    const std::string text = format.file.dump();
    for (size_t size = 0; size < text.size(); size += 1 + text.size() / 50) {
      EXPECT_FALSE(CheckText(text.substr(0, size)).ok()) << format.name << " at " << size;
    }
  }
}

// "acceptable" leaves the choice, but what is taken must come to the value the file gives.
TEST(CheckFormatsTest, AcceptableMayBeTakenOrRefusedButNotTakenWrongly) {
  EXPECT_EQ(Check(WithResult(EcdhSpki(), "acceptable")).passed, 1u);
  const Json compressed = With(WithResult(EcdhPoint(), "acceptable"), [](Json& file) {
    Vector(file)["public"] = std::string("03") + std::string(kPoint).substr(2, 64);
  });
  EXPECT_EQ(Check(compressed).passed, 1u) << "a compressed point is refused";
  EXPECT_EQ(Check(With(WithResult(EcdhSpki(), "acceptable"),
                       [](Json& file) { Vector(file)["shared"] = Repeat("00", 32); }))
                .failed,
            1u);
  EXPECT_TRUE(Fails(WithResult(compressed, "valid")));
  EXPECT_TRUE(Fails(WithResult(EcdhSpki(), "of sorts")));
}

TEST(CheckFormatsTest, InvalidMustBeRefused) {
  for (const Json& file : {EcdhPoint(), EcdhSpki(), EcdhJwk(), EcdhPem(), CutHmac(),
                           Ecdsa("EcdsaVerify", "publicKey", "SHA-256", kDer256)}) {
    EXPECT_EQ(Check(WithResult(file, "invalid")).failed, 1u) << file;
  }
  // BER: the length of the sequence in its long form.
  const std::string ber = "3081" + std::string(kDer256).substr(2);
  EXPECT_EQ(Check(WithResult(Ecdsa("EcdsaVerify", "publicKey", "SHA-256", ber), "invalid")).passed, 1u);
  // A point off the curve, a key on another curve, a bit string with unused bits.
  const std::string off = std::string(kPoint).substr(0, 128) + "aa";
  EXPECT_EQ(
      Check(WithResult(Ecdh("EcdhEcpointTest", "secp256r1", "ecpoint", off, kScalar), "invalid")).passed, 1u);
  EXPECT_EQ(
      Check(With(WithResult(EcdhJwk(), "invalid"), [](Json& f) { Vector(f)["public"]["crv"] = "P-384"; }))
          .passed,
      1u);
  std::string bits = std::string(kSpkiHead) + kPoint;
  bits[51] = '1';
  EXPECT_EQ(Check(WithResult(Ecdh("EcdhTest", "secp256r1", "asn", bits, kScalar), "invalid")).passed, 1u);
}

TEST(CheckFormatsTest, NumbersWithoutTheirLeadingZeroAreRead) {
  Json file = EcdhPoint();
  Vector(file)["private"] = "1";
  Vector(file)["shared"] = std::string(kPoint).substr(2, 64);
  EXPECT_EQ(Check(file).passed, 1u);
}

TEST(CheckFormatsTest, OutsideTheProfileIsUnsupportedForTheRightReason) {
  const auto reason = [](const Json& file) {
    Report report = Check(file);
    EXPECT_EQ(report.unsupported_count(), 1u) << file;
    return report.unsupported.empty() ? "" : std::string(UnsupportedName(report.unsupported.begin()->first));
  };
  const auto hpke = [&](const char* field, int value) {
    return reason(With(Hpke(), [&](Json& f) { f[0][field] = value; }));
  };
  EXPECT_THAT(hpke("kem_id", 32), testing::HasSubstr("KEM"));
  EXPECT_THAT(hpke("kem_id", 17), testing::HasSubstr("KEM"));
  EXPECT_THAT(hpke("mode", 2), testing::HasSubstr("auth"));
  EXPECT_THAT(hpke("mode", 3), testing::HasSubstr("auth"));
  const auto cose_hpke = [&](const char* alg) {
    return reason(With(CoseHpke(), [&](Json& f) { f["vectors"][0]["alg"] = alg; }));
  };
  EXPECT_THAT(cose_hpke("HPKE-0"), testing::HasSubstr("AEAD")) << "our KEM with AES-128-GCM";
  EXPECT_THAT(cose_hpke("HPKE-0-KE"), testing::HasSubstr("AEAD"));
  EXPECT_THAT(cose_hpke("HPKE-1"), testing::HasSubstr("KEM"));
  EXPECT_THAT(cose_hpke("HPKE-4-KE"), testing::HasSubstr("KEM"));
  EXPECT_THAT(reason(With(EcdhSpki(), [](Json& f) { Group(f)["curve"] = "brainpoolP256r1"; })),
              testing::HasSubstr("curve"));
  EXPECT_THAT(reason(With(Sign0(), [](Json& f) { f["input"]["sign0"]["key"]["crv"] = "P-521"; })),
              testing::HasSubstr("curve"));
  EXPECT_THAT(reason(With(Sign0(), [](Json& f) { f["input"]["sign0"]["protected"]["alg"] = "PS256"; })),
              testing::HasSubstr("ECDSA"));
  EXPECT_THAT(reason(With(Sign0(), [](Json& f) { f["input"]["sign0"]["countersign"] = Json::object(); })),
              testing::HasSubstr("countersignature"));
  EXPECT_THAT(reason(With(Encrypted(),
                          [](Json& f) {
                            f["input"]["encrypted"]["recipients"][0]["unprotected"]["alg"] = "ECDH-ES";
                          })),
              testing::HasSubstr("key management"));
}

TEST(CheckFormatsTest, UnknownPrimitivesAreNoFormat) {
  EXPECT_FALSE(CheckText(Hmac("AES-CMAC", 128, "00").dump()).ok());
  EXPECT_FALSE(CheckText(Hmac("KMAC128", 256, "00").dump()).ok());
  EXPECT_FALSE(CheckText(Hmac("SIPHASH-2-4", 64, "00").dump()).ok());
  EXPECT_TRUE(Fails(With(Hpke(), [](Json& f) { f[0]["kdf_id"] = 17; })));
  EXPECT_TRUE(Fails(With(Hpke(), [](Json& f) { f[0]["mode"] = 4; })));
  EXPECT_TRUE(Fails(With(CoseHpke(), [](Json& f) { f["vectors"][0]["alg"] = "HPKE-x"; })));
  EXPECT_TRUE(Fails(With(EcdhSpki(), [](Json& f) { Group(f)["curve"] = "nothing"; })));
  EXPECT_TRUE(Fails(With(EcdhSpki(), [](Json& f) { Group(f)["encoding"] = "raw"; })));
  EXPECT_TRUE(Fails(Ecdsa("EcdsaVerify", "publicKey", "SHA-2", kDer256)));
}

// testvectors.txt of the draft, as it is published.
TEST(CheckFormatsTest, TextOfTheCoseHpkeDraftIsRead) {
  const std::string key = CoseHpke()["vectors"][0]["recipient_private_cose_key_hex"];
  const std::string message = CoseHpke()["vectors"][0]["message_hex"];
  const std::string head = "\nHPKE-7 COSE_Key:: " + key + "\n\n\n";
  const std::string title = "HPKE-7 Encrypt0 with external aad and default info\n\n";
  auto report = CheckText(head + title + "Ciphertext: " + message + "\n\n");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->passed, 1u) << testing::PrintToString(report->failures);
  std::string other = message;
  other.back() = other.back() == '0' ? '1' : '0';
  report = CheckText(head + title + "Ciphertext: " + other + "\n");
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->failed, 1u);
  EXPECT_FALSE(CheckText(head + title).ok()) << "cut before the message";
  EXPECT_FALSE(
      CheckText(head + "HPKE-1 Encrypt0 with default aad and default info\n\nCiphertext: 00\n").ok());
  EXPECT_FALSE(CheckText(head + "HPKE-7 Encrypt0\n\nCiphertext: " + message).ok());
  EXPECT_FALSE(CheckText(head).ok()) << "no vector";
}

}  // namespace
}  // namespace keystead::vectors
