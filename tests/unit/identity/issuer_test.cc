#include "core/identity/issuer.h"

#include <gtest/gtest.h>

#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::ReadAll;
using testing::Secret;
using testing::TestPki;
using testing::Text;
using testing::WriteAll;

constexpr char kDevice[] = "spiffe://acme.keystead.example/device/d1";

// `openssl verify` is the second opinion: it shares no code with the issuer's reading of itself.
std::string Verify(TestPki& pki, const std::string& chain_pem, int* exit_code) {
  const std::string file = pki.NewFolder() + "/chain.pem";
  WriteAll(file, chain_pem);
  return testing::RunAny("openssl verify -x509_strict -purpose sslclient -CAfile " + pki.admission_roots() +
                             " -untrusted " + file + " " + file,
                         exit_code);
}

TEST(IssuerTest, ChainsReachTheAdmissionCa) {
  TestPki& pki = TestPki::Shared();
  const IssuedLeaf leaf = *pki.Issuer(pki.tenant_folder(kAcme)).Issue(pki.Request(kDevice));
  int exit_code = 0;
  EXPECT_NE(Verify(pki, leaf.chain_pem, &exit_code).find("OK"), std::string::npos);
  EXPECT_EQ(exit_code, 0);
  EXPECT_TRUE(ValidateCertificatePair(leaf.chain_pem, leaf.key_pem, absl::Now()).ok());
}

TEST(IssuerTest, NameConstraintsStopATenantsCaFromNamingAnother) {
  TestPki& pki = TestPki::Shared();
  const IssuedLeaf leaf = *pki.Issuer(pki.tenant_folder(kGlobex)).Issue(pki.Request(kDevice));
  int exit_code = 0;
  EXPECT_NE(Verify(pki, leaf.chain_pem, &exit_code).find("permitted subtree violation"), std::string::npos);
  EXPECT_NE(exit_code, 0);
}

TEST(IssuerTest, CertifiesAKeyThatStaysWithThePeer) {
  TestPki& pki = TestPki::Shared();
  const CertificateIssuer issuer = pki.Issuer(pki.tenant_folder(kAcme));
  const std::string folder = pki.NewFolder();
  testing::Run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out " + folder +
               "/k && openssl pkey -in " + folder + "/k -pubout -out " + folder +
               "/p && openssl genpkey -algorithm ED25519 -out " + folder + "/k2 && openssl pkey -in " +
               folder + "/k2 -pubout -out " + folder + "/p2");
  const absl::StatusOr<IssuedLeaf> leaf = issuer.IssueFor(pki.Request(kDevice), ReadAll(folder + "/p"));
  ASSERT_TRUE(leaf.ok()) << leaf.status();
  EXPECT_TRUE(leaf->key_pem.empty());
  EXPECT_TRUE(ValidateCertificatePair(leaf->chain_pem, Secret(ReadAll(folder + "/k")), absl::Now()).ok());
  EXPECT_EQ(issuer.IssueFor(pki.Request(kDevice), ReadAll(folder + "/p2")).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(issuer.IssueFor(pki.Request(kDevice), "junk").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(IssuerTest, RefusesAKeyOrCrossCertificateThatIsNotItsOwn) {
  TestPki& pki = TestPki::Shared();
  const std::string acme = pki.tenant_folder(kAcme), globex = pki.tenant_folder(kGlobex);
  EXPECT_EQ(CertificateIssuer::Create(ReadAll(acme + "/ca.pem"), Secret(ReadAll(globex + "/ca.key")), "")
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CertificateIssuer::Create(ReadAll(acme + "/ca.pem"), Secret(ReadAll(acme + "/ca.key")),
                                      ReadAll(globex + "/cross.pem"))
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(IssuerTest, RefusesAnEmptyValidityAndABadAddress) {
  TestPki& pki = TestPki::Shared();
  const CertificateIssuer issuer = pki.Issuer(pki.tenant_folder(kAcme));
  LeafRequest request = pki.Request(kDevice);
  request.ip_addresses = {"300.1.1.1"};
  EXPECT_EQ(issuer.Issue(request).status().code(), absl::StatusCode::kInvalidArgument);
  request = pki.Request(kDevice);
  request.not_after = request.not_before;
  EXPECT_EQ(issuer.Issue(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(IssuerTest, KnowsWhatItHasIssued) {
  TestPki& pki = TestPki::Shared();
  const CertificateIssuer acme = pki.Issuer(pki.tenant_folder(kAcme));
  const IssuedLeaf leaf = *acme.Issue(pki.Request(kDevice));
  EXPECT_TRUE(acme.HasIssued(leaf.chain_pem));
  EXPECT_FALSE(pki.Issuer(pki.tenant_folder(kGlobex)).HasIssued(leaf.chain_pem));
  EXPECT_FALSE(acme.HasIssued("junk"));
}

}  // namespace
}  // namespace keystead
