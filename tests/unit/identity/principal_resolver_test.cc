#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "core/observe/security_event.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::ReadAll;
using testing::Tenant;
using testing::TestPki;

constexpr char kDevice[] = "spiffe://acme.keystead.example/device/d1";

class PrincipalResolverTest : public ::testing::Test {
 protected:
  PrincipalResolverTest() {
    EXPECT_TRUE(directory_.LoadFolder(pki_.folder() + "/tenants").ok());
    SetSecurityEventObserver([this](const SecurityEvent& event) { events_.push_back(event); });
  }
  ~PrincipalResolverTest() override { SetSecurityEventObserver(nullptr); }

  std::string AcmeFolder() { return pki_.tenant_folder(kAcme); }
  // The leaf alone, as gRPC hands it over.
  std::string Leaf(const std::string& ca_folder, const LeafRequest& request) {
    const std::string chain = pki_.Issuer(ca_folder).Issue(request)->chain_pem;
    constexpr std::string_view kEnd = "-----END CERTIFICATE-----\n";
    return chain.substr(0, chain.find(kEnd) + kEnd.size());
  }
  void ExpectRefused(const std::string& leaf, SecurityEventKind kind, std::string_view reason) {
    events_.clear();
    const auto principal = resolver_.Resolve(leaf);
    EXPECT_EQ(principal.status().code(), absl::StatusCode::kUnauthenticated) << reason;
    EXPECT_EQ(Std(principal.status().message()), reason);
    ASSERT_EQ(events_.size(), 1u);
    EXPECT_EQ(events_[0].kind, kind);
    EXPECT_EQ(events_[0].detail, reason);
  }

  TestPki& pki_ = TestPki::Shared();
  TenantDirectory directory_;
  DenyList deny_list_;
  ManualClock clock_{absl::Now()};
  PrincipalResolver resolver_{&directory_, &deny_list_, &clock_, 2};
  std::vector<SecurityEvent> events_;
};

TEST_F(PrincipalResolverTest, GivesThePrincipalOfAGoodLeaf) {
  const std::string leaf = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const auto principal = resolver_.Resolve(leaf);
  ASSERT_TRUE(principal.ok()) << principal.status();
  EXPECT_EQ((*principal)->tenant().str(), kAcme);
  EXPECT_EQ((*principal)->role(), Role::kDevice);
  EXPECT_EQ((*principal)->name(), "d1");
  EXPECT_EQ((*principal)->uri(), kDevice);
  EXPECT_FALSE((*principal)->serial().empty());
  EXPECT_NE((*principal)->fingerprint(), Digest());
  EXPECT_NE((*principal)->issuer_key_id(), Digest());
  EXPECT_TRUE(resolver_.CheckStillValid(**principal).ok());
  EXPECT_TRUE(events_.empty());
}

TEST_F(PrincipalResolverTest, RemembersWhatItProved) {
  const std::string leaf = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const auto first = resolver_.Resolve(leaf);
  const auto second = resolver_.Resolve(leaf);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->get(), second->get());
}

TEST_F(PrincipalResolverTest, ForgetsTheLeastRecentlyUsed) {
  const std::string a = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const std::string b = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const std::string c = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const auto first_a = resolver_.Resolve(a);
  const auto first_b = resolver_.Resolve(b);
  ASSERT_EQ(resolver_.Resolve(a)->get(), first_a->get());
  ASSERT_TRUE(resolver_.Resolve(c).ok());  // room for two: b goes
  EXPECT_EQ(resolver_.Resolve(a)->get(), first_a->get());
  EXPECT_NE(resolver_.Resolve(b)->get(), first_b->get());
}

TEST_F(PrincipalResolverTest, RefusesAnotherTenantsCaThatNamesThisTenant) {
  const std::string leaf = Leaf(pki_.tenant_folder(kGlobex), pki_.Request(kDevice));
  ExpectRefused(leaf, SecurityEventKind::kIssuerMismatch,
                "the CA registered for this tenant did not issue the certificate");
  EXPECT_EQ(events_[0].peer, kDevice);
}

TEST_F(PrincipalResolverTest, RefusesAChangedCertificate) {
  std::string leaf = Leaf(AcmeFolder(), pki_.Request(kDevice));
  ASSERT_TRUE(resolver_.Resolve(leaf).ok());
  // The last characters before the padding belong to the signature's s.
  char& changed = leaf[leaf.find("\n-----END") - 8];
  changed = changed == 'A' ? 'B' : 'A';
  EXPECT_FALSE(resolver_.Resolve(leaf).ok());
}

TEST_F(PrincipalResolverTest, RefusesWhatIsNotOneCertificate) {
  const std::string leaf = Leaf(AcmeFolder(), pki_.Request(kDevice));
  for (const std::string& bad :
       {std::string(), std::string("junk"), leaf.substr(0, leaf.size() / 2), leaf + leaf}) {
    ExpectRefused(bad, SecurityEventKind::kPeerRefused, "not one certificate");
  }
}

TEST_F(PrincipalResolverTest, RefusesNoOrTwoUriNames) {
  LeafRequest two = pki_.Request(kDevice);
  two.further_uris = {"spiffe://acme.keystead.example/admin/root"};
  ExpectRefused(Leaf(AcmeFolder(), two), SecurityEventKind::kPeerRefused,
                "certificate has not exactly one URI name");
  LeafRequest same = pki_.Request(kDevice);
  same.further_uris = {kDevice};
  ExpectRefused(Leaf(AcmeFolder(), same), SecurityEventKind::kPeerRefused,
                "certificate has not exactly one URI name");
  ExpectRefused(ReadAll(AcmeFolder() + "/ca.pem"), SecurityEventKind::kPeerRefused,
                "certificate has not exactly one URI name");
}

TEST_F(PrincipalResolverTest, RefusesACaCertificateThatNamesAPeer) {
  const std::string folder = pki_.NewFolder();
  testing::Run(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -addext "
      "subjectAltName=URI:" +
      std::string(kDevice) + " -keyout " + folder + "/k -out " + folder + "/c");
  ExpectRefused(ReadAll(folder + "/c"), SecurityEventKind::kPeerRefused, "a CA certificate is no peer");
}

TEST_F(PrincipalResolverTest, RefusesAUriThatIsNoSpiffeIdOfOurs) {
  const std::string folder = pki_.NewFolder();
  testing::Run(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -addext "
      "basicConstraints=CA:FALSE -addext subjectAltName=URI:spiffe://acme.keystead.example/root/x -keyout " +
      folder + "/k -out " + folder + "/c");
  ExpectRefused(ReadAll(folder + "/c"), SecurityEventKind::kPeerRefused,
                "URI name is not a SPIFFE id of ours");
}

TEST_F(PrincipalResolverTest, RefusesAnUnknownTenant) {
  directory_.Remove(Tenant(kAcme));
  ExpectRefused(Leaf(AcmeFolder(), pki_.Request(kDevice)), SecurityEventKind::kPeerRefused,
                "tenant is not registered");
}

TEST_F(PrincipalResolverTest, OperatorsAreTheProvidersAndTheProviderHasNothingElse) {
  const std::string provider = pki_.folder() + "/provider";
  const TenantName name = Tenant(testing::kProvider);
  const auto leaf = [&](const std::string& ca, const std::string& id) { return Leaf(ca, pki_.Request(id)); };
  const std::string operator_of_provider = leaf(provider, "spiffe://" + name.str() + "/operator/ops");
  ExpectRefused(operator_of_provider, SecurityEventKind::kPeerRefused, "tenant is not registered");
  ASSERT_TRUE(directory_.RegisterProvider(name, ReadAll(provider + "/ca.pem")).ok());
  EXPECT_TRUE(resolver_.Resolve(operator_of_provider).ok());
  constexpr std::string_view kNoOperator = "operators are the provider's, and the provider has nothing else";
  for (const char* role : {"device", "gateway", "app", "thirdparty", "service", "admin", "factory"}) {
    ExpectRefused(leaf(provider, "spiffe://" + name.str() + "/" + role + "/x"),
                  SecurityEventKind::kPeerRefused, kNoOperator);
  }
  ExpectRefused(leaf(AcmeFolder(), "spiffe://" + std::string(kAcme) + "/operator/ops"),
                SecurityEventKind::kPeerRefused, kNoOperator);
  ExpectRefused(leaf(AcmeFolder(), "spiffe://" + name.str() + "/operator/ops"),
                SecurityEventKind::kIssuerMismatch,
                "the CA registered for this tenant did not issue the certificate");
}

TEST_F(PrincipalResolverTest, RefusesOutsideItsValidityAlsoWhenSeenBefore) {
  LeafRequest request = pki_.Request(kDevice);
  request.not_before = clock_.Now() + absl::Hours(1);
  request.not_after = clock_.Now() + absl::Hours(2);
  const std::string leaf = Leaf(AcmeFolder(), request);
  ExpectRefused(leaf, SecurityEventKind::kPeerRefused, "certificate is not yet valid");
  clock_.Advance(absl::Minutes(61));
  const auto principal = resolver_.Resolve(leaf);
  ASSERT_TRUE(principal.ok()) << principal.status();
  clock_.Advance(absl::Hours(1));
  ExpectRefused(leaf, SecurityEventKind::kPeerRefused, "certificate expired");
  EXPECT_EQ(resolver_.CheckStillValid(**principal).code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(PrincipalResolverTest, RefusesWhatIsOnTheDenyListFromTheNextCallOn) {
  const std::string leaf = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const std::string other = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const auto principal = *resolver_.Resolve(leaf);
  deny_list_.DenyFingerprint(Tenant(kGlobex),
                             principal->fingerprint());  // another tenant's list says nothing here
  EXPECT_TRUE(resolver_.Resolve(leaf).ok());
  deny_list_.DenyFingerprint(Tenant(kAcme), principal->fingerprint());
  ExpectRefused(leaf, SecurityEventKind::kPeerRefused, "certificate is on the deny list");
  EXPECT_EQ(resolver_.CheckStillValid(*principal).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(resolver_.Resolve(other).ok());
  deny_list_.Replace(Tenant(kAcme), {});
  EXPECT_TRUE(resolver_.Resolve(leaf).ok());
}

TEST_F(PrincipalResolverTest, ReadsSerialNumbersHoweverTheyAreWritten) {
  const std::string leaf = Leaf(AcmeFolder(), pki_.Request(kDevice));
  std::string serial = (*resolver_.Resolve(leaf))->serial();
  for (char& c : serial) c = static_cast<char>(std::toupper(c));
  DenyList::Entries entries;
  entries.serials.insert("00" + serial);
  deny_list_.Replace(Tenant(kAcme), entries);
  EXPECT_FALSE(resolver_.Resolve(leaf).ok());
  deny_list_.Replace(Tenant(kAcme), {});
  deny_list_.DenySerial(Tenant(kAcme), "0" + serial);
  EXPECT_FALSE(resolver_.Resolve(leaf).ok());
}

TEST_F(PrincipalResolverTest, ForgetsWhatItProvedWhenTheTenantsCaChanges) {
  const std::string leaf = Leaf(AcmeFolder(), pki_.Request(kDevice));
  const auto principal = *resolver_.Resolve(leaf);
  const std::string old_ca = ReadAll(AcmeFolder() + "/ca.pem");
  const std::string new_ca = ReadAll(pki_.UnconstrainedCa("new") + "/ca.pem");
  ASSERT_TRUE(directory_.Register(Tenant(kAcme), old_ca + new_ca).ok());  // while it changes CAs both count
  EXPECT_TRUE(resolver_.Resolve(leaf).ok());
  EXPECT_TRUE(resolver_.CheckStillValid(*principal).ok());
  ASSERT_TRUE(directory_.Register(Tenant(kAcme), new_ca).ok());
  ExpectRefused(leaf, SecurityEventKind::kIssuerMismatch,
                "the CA registered for this tenant did not issue the certificate");
  EXPECT_EQ(resolver_.CheckStillValid(*principal).code(), absl::StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace keystead
