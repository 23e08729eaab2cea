#include "core/identity/authority.h"

#include <gtest/gtest.h>

#include "core/identity/issuer.h"
#include "core/identity/principal.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::Tenant;
using testing::TestPki;
using testing::WriteAll;

const absl::Time kNotAfter = absl::Now() + absl::Hours(1);

struct World {
  Authority admission = *MakeAdmissionAuthority(kNotAfter);
  Authority acme = *MakeTenantAuthority(Tenant(kAcme), kNotAfter);
  std::string cross = *CrossSign(admission, acme.ca_pem, Tenant(kAcme), kNotAfter);

  std::string Leaf(std::string_view tenant) {
    LeafRequest request = TestPki::Shared().Request("spiffe://" + std::string(tenant) + "/device/d1");
    request.not_before = absl::Now() - absl::Minutes(1);
    request.not_after = absl::Now() + absl::Minutes(1);
    return CertificateIssuer::Create(acme.ca_pem, acme.key_pem, cross)->Issue(request)->chain_pem;
  }
};

// `openssl verify` is the second opinion. `roots` and `chain` are PEM texts.
std::string Verify(const std::string& roots, const std::string& chain, int* exit_code) {
  const std::string folder = TestPki::Shared().NewFolder();
  WriteAll(folder + "/roots", roots);
  WriteAll(folder + "/chain", chain);
  return testing::RunAny("openssl verify -x509_strict -purpose sslclient -CAfile " + folder +
                             "/roots -untrusted " + folder + "/chain " + folder + "/chain",
                         exit_code);
}

TEST(AuthorityTest, LeavesReachTheAdmissionCaThroughTheCrossCertificateAndTheirOwnCa) {
  World world;
  for (const Authority* root : {&world.admission, &world.acme}) {
    int exit_code = -1;
    EXPECT_NE(Verify(root->ca_pem, world.Leaf(kAcme), &exit_code).find("OK"), std::string::npos);
    EXPECT_EQ(exit_code, 0);
  }
}

TEST(AuthorityTest, TheNameConstraintHoldsOnBothWays) {
  World world;
  for (const Authority* root : {&world.admission, &world.acme}) {
    int exit_code = 0;
    const std::string said = Verify(root->ca_pem, world.Leaf(kGlobex), &exit_code);
    EXPECT_NE(said.find("permitted subtree violation"), std::string::npos) << said;
    EXPECT_NE(exit_code, 0);
  }
}

TEST(AuthorityTest, OnlyWhoSignedIsReached) {
  World world;
  const Authority other = *MakeAdmissionAuthority(kNotAfter);
  int exit_code = 0;
  Verify(other.ca_pem, world.Leaf(kAcme), &exit_code);
  EXPECT_NE(exit_code, 0);
}

TEST(AuthorityTest, IsAKeyThatATenantCanBeRegisteredWith) {
  World world;
  TenantDirectory directory;
  EXPECT_TRUE(directory.Register(Tenant(kAcme), world.acme.ca_pem).ok());
}

TEST(AuthorityTest, RefusesToSignWhatIsNoCertificate) {
  World world;
  EXPECT_EQ(CrossSign(world.admission, "junk", Tenant(kAcme), kNotAfter).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CrossSign(world.admission, "", Tenant(kAcme), kNotAfter).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keystead
