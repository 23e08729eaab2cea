// Tenants' CA certificates that change while a program runs.
#include "core/identity/tenant_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/identity/authority.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::Tenant;
using testing::TestPki;

class TenantFolderTest : public ::testing::Test {
 protected:
  TenantFolderTest() {
    for (const char* tenant : {kAcme, kGlobex}) {
      std::filesystem::create_directory(absl::StrCat(folder_, "/", tenant));
      std::filesystem::copy(pki_.tenant_folder(tenant) + "/ca.pem", Path(tenant));
    }
    EXPECT_TRUE(directory_.LoadFolder(folder_).ok());
    EXPECT_TRUE(watch_.Refresh().ok());
  }
  std::string Path(std::string_view tenant) const {
    return absl::StrCat(folder_, "/", std::string(tenant), "/ca.pem");
  }
  bool Accepts(const CertificateIssuer& issuer) {
    const auto leaf = issuer.Issue(pki_.Request("spiffe://acme.keystead.example/device/x"));
    return resolver_.Resolve(leaf->chain_pem.substr(0, leaf->chain_pem.find("-----END") + 26)).ok();
  }

  TestPki& pki_ = TestPki::Shared();
  const std::string folder_ = pki_.NewFolder();
  TenantDirectory directory_;
  DenyList deny_list_;
  PrincipalResolver resolver_{&directory_, &deny_list_};
  TenantFolder watch_{folder_, &directory_};
};

TEST_F(TenantFolderTest, NothingChangesOfItself) { EXPECT_FALSE(*watch_.Refresh()); }

TEST_F(TenantFolderTest, AnExchangedCaCountsInPlaceOfTheOld) {
  const CertificateIssuer old = pki_.Issuer(pki_.tenant_folder(kAcme));
  const auto next = MakeTenantAuthority(Tenant(kAcme), absl::Now() + absl::Hours(24));
  ASSERT_TRUE(next.ok()) << next.status();
  const auto issuer = CertificateIssuer::Create(next->ca_pem, next->key_pem, "");
  ASSERT_TRUE(issuer.ok()) << issuer.status();
  EXPECT_TRUE(Accepts(old));
  EXPECT_FALSE(Accepts(*issuer));
  std::filesystem::remove(Path(kAcme));
  testing::WriteAll(Path(kAcme), next->ca_pem);
  EXPECT_TRUE(*watch_.Refresh());
  EXPECT_FALSE(Accepts(old)) << "also of certificates that were seen before";
  EXPECT_TRUE(Accepts(*issuer));
}

TEST_F(TenantFolderTest, OneThatIsGoneIsOutUntilItIsBackAndNobodyElse) {
  std::filesystem::rename(Path(kAcme), Path(kAcme) + ".away");
  EXPECT_TRUE(*watch_.Refresh());
  EXPECT_FALSE(directory_.Contains(Tenant(kAcme)));
  EXPECT_TRUE(directory_.Contains(Tenant(kGlobex)));
  std::filesystem::rename(Path(kAcme) + ".away", Path(kAcme));
  EXPECT_TRUE(*watch_.Refresh());
  EXPECT_TRUE(directory_.Contains(Tenant(kAcme)));
}

TEST_F(TenantFolderTest, WhatIsDamagedChangesNothingAndHindersNobody) {
  testing::WriteAll(Path(kAcme), "damaged");
  std::filesystem::remove(Path(kGlobex));
  const auto refreshed = watch_.Refresh();
  EXPECT_EQ(refreshed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(directory_.Contains(Tenant(kAcme)));
  EXPECT_FALSE(directory_.Contains(Tenant(kGlobex)));
  std::filesystem::rename(folder_, folder_ + ".away");
  EXPECT_EQ(watch_.Refresh().status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(directory_.Contains(Tenant(kAcme)));
}

TEST_F(TenantFolderTest, WhatIsNewIsToldOfOnceAndNotRegistered) {
  const auto another = MakeTenantAuthority(Tenant("new.keystead.example"), absl::Now() + absl::Hours(24));
  ASSERT_TRUE(another.ok()) << another.status();
  const std::string path = Path("new.keystead.example");
  std::filesystem::create_directory(std::filesystem::path(path).parent_path());
  EXPECT_FALSE(*watch_.Refresh());
  EXPECT_TRUE(watch_.TakeIgnored().empty()) << "it has no ca.pem yet";
  testing::WriteAll(path, another->ca_pem);
  for (int looks = 0; looks < 3; ++looks) EXPECT_FALSE(*watch_.Refresh());
  const auto ignored = watch_.TakeIgnored();
  ASSERT_EQ(ignored.size(), 1u);
  EXPECT_EQ(ignored[0].tenant, Tenant("new.keystead.example"));
  EXPECT_TRUE(ignored[0].is_new);
  EXPECT_FALSE(directory_.Contains(Tenant("new.keystead.example")));
}

TEST_F(TenantFolderTest, OneThatIsNotServedIsToldOfWithEachExchangeAndNotRegistered) {
  std::set<TenantName> served{Tenant(kGlobex)};
  directory_.Remove(Tenant(kAcme));
  TenantFolder watch{folder_, &directory_, {}, [&](const TenantName& name) { return served.contains(name); }};
  ASSERT_TRUE(watch.Refresh().ok());
  EXPECT_EQ(watch.TakeIgnored().size(), 1u) << "at the start it is there, and not served";
  const std::string pem = testing::ReadAll(Path(kAcme));
  for (int i = 1; i < 3; ++i) {
    std::filesystem::remove(Path(kAcme));
    testing::WriteAll(Path(kAcme), pem + std::string(static_cast<size_t>(i), '\n'));
    for (int looks = 0; looks < 3; ++looks) ASSERT_TRUE(watch.Refresh().ok());
    const auto ignored = watch.TakeIgnored();
    ASSERT_EQ(ignored.size(), 1u);
    EXPECT_EQ(ignored[0].tenant, Tenant(kAcme));
    EXPECT_FALSE(ignored[0].is_new);
    EXPECT_FALSE(directory_.Contains(Tenant(kAcme)));
  }
  served.insert(Tenant(kAcme));  // it was created again
  std::filesystem::remove(Path(kAcme));
  testing::WriteAll(Path(kAcme), pem);
  EXPECT_TRUE(*watch.Refresh());
  EXPECT_TRUE(directory_.Contains(Tenant(kAcme)));
}

// Taken away between the look at whether it is served and its registration.
TEST_F(TenantFolderTest, OneThatIsTakenAwayMeanwhileIsNotRegistered) {
  int asked = 0;
  TenantFolder watch{folder_, &directory_, {}, [&](const TenantName& name) {
                       return name != Tenant(kAcme) || ++asked <= 2;
                     }};
  ASSERT_TRUE(watch.Refresh().ok());
  EXPECT_GE(asked, 3);
  EXPECT_FALSE(directory_.Contains(Tenant(kAcme)));
}

}  // namespace
}  // namespace keystead
