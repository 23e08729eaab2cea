// Who gets an operational certificate, and what one that was enrolled for is good for.
#include "core/identity/enrollment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/cose/sign1.h"
#include "core/crypto/p256.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::Tenant;
using testing::TestPki;

constexpr char kBulb[] = "spiffe://acme.keystead.example/device/bulb-1";
constexpr char kFactoryBulb[] = "spiffe://acme.keystead.example/factory/device.bulb-1";

class EnrollmentTest : public ::testing::Test {
 protected:
  EnrollmentTest() {
    EXPECT_TRUE(directory_.LoadFolder(pki_.folder() + "/tenants").ok());
    SetSecurityEventObserver([this](const SecurityEvent&) { ++events_; });
  }
  ~EnrollmentTest() override { SetSecurityEventObserver(nullptr); }

  CertificateFiles Factory(std::string_view uri = kFactoryBulb, std::string_view issuer = kAcme) {
    return pki_.Store(*pki_.Issuer(pki_.tenant_folder(issuer)).Issue(pki_.Request(uri)), "");
  }
  EnrollmentRequest Request(const CertificateFiles& factory) {
    auto prepared = PrepareEnrollment(factory, absl::Now());
    EXPECT_TRUE(prepared.ok()) << prepared.status();
    return std::move(prepared->request);
  }
  absl::StatusCode Verified(const EnrollmentRequest& request) {
    return VerifyEnrollment(request, resolver_).status().code();
  }
  // As gRPC hands it over: the leaf, and what came beside it.
  struct Shown {
    std::string leaf;
    std::string chain;
  };
  static Shown Split(const std::string& chain) {
    constexpr std::string_view kEnd = "-----END CERTIFICATE-----\n";
    const size_t end = chain.find(kEnd) + kEnd.size();
    return {chain.substr(0, end), chain.substr(end)};
  }
  Shown Enrolled(std::string_view uri = kBulb, std::string_view tenant = kAcme) {
    return Split(pki_.EnrollmentIssuer(tenant).Issue(pki_.Request(uri))->chain_pem);
  }
  // SubjectPublicKeyInfo (RFC 5480, section 2) in PEM.
  static std::string PemOf(const crypto::EcdsaPublicKey& key) {
    const std::string head = absl::HexStringToBytes("3059301306072a8648ce3d020106082a8648ce3d030107034200");
    return absl::StrCat("-----BEGIN PUBLIC KEY-----\n",
                        absl::Base64Escape(head + std::string(AsChars(ByteView(key.point())))),
                        "\n-----END PUBLIC KEY-----\n");
  }
  void ExpectRefused(const Shown& shown) {
    const int before = events_;
    EXPECT_EQ(resolver_.Resolve(shown.leaf, shown.chain).status().code(), absl::StatusCode::kUnauthenticated);
    EXPECT_EQ(events_, before + 1);
  }

  TestPki& pki_ = TestPki::Shared();
  TenantDirectory directory_;
  DenyList deny_list_;
  ManualClock clock_{absl::Now()};
  PrincipalResolver resolver_{&directory_, &deny_list_, &clock_};
  int events_ = 0;
};

TEST_F(EnrollmentTest, AFactoryIdentityNamesWhomItMayBecome) {
  EXPECT_EQ(EnrolleeOf(testing::Id(kFactoryBulb))->str(), kBulb);
  EXPECT_EQ(EnrolleeOf(testing::Id("spiffe://acme.keystead.example/factory/gateway.a.b"))->str(),
            "spiffe://acme.keystead.example/gateway/a.b");
  for (const char* other : {"factory/app.phone", "factory/admin.root", "factory/factory.device.x",
                            "factory/bulb", "factory/device.", "factory/.x", "device/device.bulb-1"}) {
    EXPECT_FALSE(EnrolleeOf(testing::Id(absl::StrCat("spiffe://acme.keystead.example/", other))).ok())
        << other;
  }
}

TEST_F(EnrollmentTest, ARequestProvesTheFactoryIdentityAndTheNewKey) {
  const CertificateFiles factory = Factory();
  const auto prepared = PrepareEnrollment(factory, absl::Now());
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(prepared->enrollee.str(), kBulb);
  const auto enrollee = VerifyEnrollment(prepared->request, resolver_);
  ASSERT_TRUE(enrollee.ok()) << enrollee.status();
  EXPECT_EQ(enrollee->id.str(), kBulb);
  EXPECT_EQ(enrollee->factory->uri(), kFactoryBulb);
  const auto leaf = pki_.EnrollmentIssuer(kAcme).IssueFor(pki_.Request(kBulb), enrollee->public_key_pem);
  ASSERT_TRUE(leaf.ok()) << leaf.status();
  EXPECT_TRUE(ValidateCertificatePair(leaf->chain_pem, prepared->key_pem, absl::Now()).ok())
      << "what comes back fits the key that was kept";
}

// The courier sees the new key, so it can have anything certified for it, but not by the tenant.
TEST_F(EnrollmentTest, OnlyWhatTheTenantStandsBehindIsTakenForAnAnswer) {
  const CertificateFiles factory = Factory();
  const auto prepared = PrepareEnrollment(factory, absl::Now());
  ASSERT_TRUE(prepared.ok());
  const std::string key = VerifyEnrollment(prepared->request, resolver_)->public_key_pem;
  const auto answer = [&](const CertificateIssuer& issuer, std::string_view uri) {
    return issuer.IssueFor(pki_.Request(uri), key)->chain_pem;
  };
  const auto taken = [&](const std::string& chain) {
    return CheckEnrolled(*prepared, chain, absl::Now()).status().code();
  };
  const std::string good = answer(pki_.EnrollmentIssuer(kAcme), kBulb);
  ASSERT_EQ(taken(good), absl::StatusCode::kOk) << CheckEnrolled(*prepared, good, absl::Now()).status();
  EXPECT_EQ(taken(answer(pki_.Issuer(pki_.tenant_folder(kAcme)), kBulb)), absl::StatusCode::kOk);

  const auto refused = absl::StatusCode::kUnauthenticated;
  EXPECT_EQ(taken(answer(pki_.EnrollmentIssuer(kGlobex), kBulb)), refused) << "another tenant's key";
  EXPECT_EQ(taken(answer(pki_.Issuer(pki_.UnconstrainedCa("courier")), kBulb)), refused) << "the courier's";
  // The genuine certificates above it do not make a foreign leaf better.
  EXPECT_EQ(
      taken(Split(answer(pki_.Issuer(pki_.UnconstrainedCa("courier2")), kBulb)).leaf + Split(good).chain),
      refused);
  EXPECT_EQ(taken(Split(good).leaf), refused) << "without the enrollment CA nobody would accept it";
  EXPECT_EQ(taken(answer(pki_.EnrollmentIssuer(kAcme), "spiffe://acme.keystead.example/device/bulb-2")),
            refused)
      << "another product's name";
  EXPECT_EQ(taken(Enrolled().leaf + Enrolled().chain), absl::StatusCode::kFailedPrecondition)
      << "another key";
  EXPECT_EQ(taken(""), absl::StatusCode::kInvalidArgument);
}

TEST_F(EnrollmentTest, WhatIsNoFactoryIdentityIsNotPrepared) {
  EXPECT_EQ(PrepareEnrollment(Factory(kBulb), absl::Now()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PrepareEnrollment(Factory(), absl::Now() + absl::Hours(24 * 3650)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(EnrollmentTest, NobodyElsesProofCounts) {
  const EnrollmentRequest good = Request(Factory());
  ASSERT_EQ(Verified(good), absl::StatusCode::kOk);
  // Another product's proof under this one's certificate, and the other way round.
  const EnrollmentRequest other = Request(Factory("spiffe://acme.keystead.example/factory/device.bulb-2"));
  EXPECT_EQ(Verified({good.factory_chain, other.proof}), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Verified({other.factory_chain, good.proof}), absl::StatusCode::kUnauthenticated);
  // Two certificates over one key are two identities.
  const CertificateFiles again = Factory();
  EXPECT_EQ(Verified({Request(again).factory_chain, good.proof}), absl::StatusCode::kUnauthenticated);
  // Not one byte of the proof is free.
  for (size_t i = 0; i < good.proof.size(); ++i) {
    EnrollmentRequest changed = good;
    changed.proof[i] ^= 1;
    EXPECT_NE(Verified(changed), absl::StatusCode::kOk) << i;
  }
}

// Who has stolen a factory key still cannot have a key certified that is not his.
TEST_F(EnrollmentTest, TheNewKeyMustHaveSignedItsRequest) {
  const auto stolen = crypto::EcdsaKeyPair::Generate();
  ASSERT_TRUE(stolen.ok());
  const auto factory = pki_.Issuer(pki_.tenant_folder(kAcme))
                           .IssueFor(pki_.Request(kFactoryBulb), PemOf(stolen->public_key()));
  ASSERT_TRUE(factory.ok()) << factory.status();
  const EnrollmentRequest honest = Request(Factory());
  const auto view = cose::ParseSign1(honest.proof);
  ASSERT_TRUE(view.ok());
  const std::string leaf = Split(factory->chain_pem).leaf;
  const auto fingerprint = (*resolver_.Resolve(leaf))->fingerprint();
  const auto proof_over = [&](ByteView csr) {
    return *cose::SignSign1(*stolen, "ks1/enroll", csr, fingerprint.view());
  };
  Bytes csr(view->payload.begin(), view->payload.end());
  EXPECT_EQ(Verified({leaf, proof_over(csr)}), absl::StatusCode::kOk) << "the stolen key itself signs";
  csr.back() ^= 1;  // in the signature, which comes last
  EXPECT_EQ(Verified({leaf, proof_over(csr)}), absl::StatusCode::kUnauthenticated);
  csr.back() ^= 1;
  csr.push_back(0);
  EXPECT_EQ(Verified({leaf, proof_over(csr)}), absl::StatusCode::kInvalidArgument) << "something behind it";
  EXPECT_EQ(Verified({leaf, proof_over(AsBytes("x"))}), absl::StatusCode::kInvalidArgument);
}

TEST_F(EnrollmentTest, OnlyTheTenantsOwnCaMakesFactoryIdentities) {
  EXPECT_EQ(Verified(Request(Factory(kFactoryBulb, kGlobex))), absl::StatusCode::kUnauthenticated)
      << "another tenant's";
  const auto below = pki_.EnrollmentIssuer(kAcme).Issue(pki_.Request(kFactoryBulb));
  const CertificateFiles files = pki_.Store(*below, "");
  EXPECT_EQ(Verified(Request(files)), absl::StatusCode::kUnauthenticated) << "the backend's own key";
  ExpectRefused(Split(below->chain_pem));
}

TEST_F(EnrollmentTest, WhatIsDeniedOrExpiredEnrollsNoMore) {
  const EnrollmentRequest request = Request(Factory());
  clock_.Advance(absl::Hours(24 * 3650));
  EXPECT_EQ(Verified(request), absl::StatusCode::kUnauthenticated) << "expired";
  clock_.Advance(-absl::Hours(24 * 3650));
  ASSERT_EQ(Verified(request), absl::StatusCode::kOk);
  deny_list_.DenyName(Tenant(kAcme), Role::kDevice, "bulb-1");
  EXPECT_EQ(Verified(request), absl::StatusCode::kUnauthenticated) << "the name";
  deny_list_.Replace(Tenant(kAcme), {});
  ASSERT_EQ(Verified(request), absl::StatusCode::kOk);
  deny_list_.DenySerial(Tenant(kAcme), VerifyEnrollment(request, resolver_)->factory->serial());
  EXPECT_EQ(Verified(request), absl::StatusCode::kUnauthenticated) << "the factory certificate";
}

TEST_F(EnrollmentTest, OversizeAndNonsenseAreRefusedBeforeASignatureIsLookedAt) {
  const EnrollmentRequest good = Request(Factory());
  EXPECT_EQ(Verified({std::string(kMaxFactoryChainBytes + 1, 'x'), good.proof}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Verified({good.factory_chain, Bytes(kMaxEnrollmentProofBytes + 1)}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Verified({"", good.proof}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Verified({"-----END CERTIFICATE-----", good.proof}), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(Verified({good.factory_chain, {}}), absl::StatusCode::kOk);
}

// What was enrolled for
// ---------------------------------------------------------------------------------------------------

TEST_F(EnrollmentTest, ALeafBelowTheEnrollmentCaIsItsTenants) {
  const Shown shown = Enrolled();
  const auto principal = resolver_.Resolve(shown.leaf, shown.chain);
  ASSERT_TRUE(principal.ok()) << principal.status();
  EXPECT_EQ((*principal)->uri(), kBulb);
  EXPECT_TRUE(resolver_.CheckStillValid(**principal).ok());
  const auto direct = resolver_.Resolve(
      Split(pki_.Issuer(pki_.tenant_folder(kAcme)).Issue(pki_.Request(kBulb))->chain_pem).leaf);
  EXPECT_NE((*principal)->issuer_key_id(), (*direct)->issuer_key_id());
}

TEST_F(EnrollmentTest, WithoutTheEnrollmentCaBesideItItIsNobodys) {
  ExpectRefused({Enrolled().leaf, ""});
  ExpectRefused({Enrolled().leaf, Enrolled(kBulb, kGlobex).chain});
  ExpectRefused({Enrolled().leaf, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"});
}

TEST_F(EnrollmentTest, AnEnrollmentKeySpeaksForDevicesAndGatewaysOnly) {
  for (const char* role :
       {"app/phone", "admin/root", "service/backend", "thirdparty/energy", "factory/device.x"})
    ExpectRefused(Enrolled(absl::StrCat("spiffe://acme.keystead.example/", role)));
  const Shown gateway = Enrolled("spiffe://acme.keystead.example/gateway/hall");
  EXPECT_TRUE(resolver_.Resolve(gateway.leaf, gateway.chain).ok());
}

TEST_F(EnrollmentTest, AnotherTenantsEnrollmentKeyIsNone) { ExpectRefused(Enrolled(kBulb, kGlobex)); }

TEST_F(EnrollmentTest, OneStepBelowTheTenantsCaAndNotTwo) {
  const std::string folder = pki_.NewFolder();
  const std::string above = pki_.tenant_folder(kAcme) + "/enrollment/";
  testing::Run(
      "cd '" + folder +
      "' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem "
      "-subj /CN=below -days 9 -CA '" +
      above + "ca.pem' -CAkey '" + above + "ca.key' 2>/dev/null && cat ca.pem '" + above +
      "chain.pem' > chain.pem && chmod 600 ca.key");
  const auto issuer =
      CertificateIssuer::Load({folder + "/ca.pem", folder + "/ca.key", folder + "/chain.pem"});
  ASSERT_TRUE(issuer.ok()) << issuer.status();
  ExpectRefused(Split(issuer->Issue(pki_.Request(kBulb))->chain_pem));
}

TEST_F(EnrollmentTest, TheTenantWithdrawsTheKeyAndEveryCertificateUnderItIsOut) {
  const Shown shown = Enrolled();
  const auto principal = resolver_.Resolve(shown.leaf, shown.chain);
  ASSERT_TRUE(principal.ok());
  deny_list_.DenyIssuer(Tenant(kAcme), (*principal)->issuer_key_id());
  EXPECT_FALSE(resolver_.CheckStillValid(**principal).ok()) << "also calls that are open";
  ExpectRefused(shown);
  ExpectRefused(Enrolled("spiffe://acme.keystead.example/gateway/hall"));
  const Shown globex = Enrolled("spiffe://globex.keystead.example/device/x", kGlobex);
  EXPECT_TRUE(resolver_.Resolve(globex.leaf, globex.chain).ok()) << "and nobody else's";
}

TEST_F(EnrollmentTest, ANameThatIsDeniedIsOutWhateverItShows) {
  const Shown shown = Enrolled();
  ASSERT_TRUE(resolver_.Resolve(shown.leaf, shown.chain).ok());
  deny_list_.DenyName(Tenant(kAcme), Role::kDevice, "bulb-1");
  ExpectRefused(shown);
  ExpectRefused(Enrolled());
  ExpectRefused(Split(pki_.Issuer(pki_.tenant_folder(kAcme)).Issue(pki_.Request(kBulb))->chain_pem));
  const Shown other = Enrolled("spiffe://acme.keystead.example/device/bulb-10");
  EXPECT_TRUE(resolver_.Resolve(other.leaf, other.chain).ok());
}

TEST_F(EnrollmentTest, NothingOutlivesTheEnrollmentCaOrTheTenantsRegistration) {
  LeafRequest request = pki_.Request(kBulb);
  request.not_after = absl::Now() + absl::Hours(24 * 3650);
  const Shown shown = Split(pki_.EnrollmentIssuer(kAcme).Issue(request)->chain_pem);
  const auto principal = resolver_.Resolve(shown.leaf, shown.chain);
  ASSERT_TRUE(principal.ok()) << principal.status();
  EXPECT_LT((*principal)->not_after(), absl::Now() + absl::Hours(24 * 366));
  clock_.Advance(absl::Hours(24 * 366));
  ExpectRefused(shown);
  clock_.Advance(-absl::Hours(24 * 366));
  directory_.Remove(Tenant(kAcme));
  EXPECT_FALSE(resolver_.CheckStillValid(**principal).ok());
}

}  // namespace
}  // namespace keystead
