#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::ReadAll;
using testing::Tenant;
using testing::TestPki;
using testing::WriteAll;

TEST(TenantDirectoryTest, LoadsEveryTenantOfAFolder) {
  TenantDirectory directory;
  ASSERT_TRUE(directory.LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
  EXPECT_EQ(directory.Tenants(), (std::vector<TenantName>{Tenant(kAcme), Tenant(kGlobex)}));
}

TEST(TenantDirectoryTest, NoTenantTakesTheProvidersName) {
  const TestPki& pki = TestPki::Shared();
  const std::string provider_ca = ReadAll(pki.folder() + "/provider/ca.pem");
  TenantDirectory directory;
  ASSERT_TRUE(directory.RegisterProvider(Tenant(testing::kProvider), provider_ca).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(directory.Register(Tenant(testing::kProvider), provider_ca)));
  EXPECT_TRUE(directory.Tenants().empty());
}

TEST(TenantDirectoryTest, SaysWhichFileIsBad) {
  const std::string folder = TestPki::Shared().NewFolder();
  TenantDirectory directory;
  EXPECT_EQ(directory.LoadFolder(folder).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(directory.LoadFolder(folder + "/absent").code(), absl::StatusCode::kNotFound);
  std::filesystem::create_directory(folder + "/a.example");
  WriteAll(folder + "/a.example/ca.pem", "junk");
  const absl::Status bad = directory.LoadFolder(folder);
  EXPECT_EQ(bad.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(bad.message().find("a.example/ca.pem"), absl::string_view::npos) << bad;
}

TEST(TenantDirectoryTest, RefusesWhatIsNoCaOnP256AndKeepsWhatItHad) {
  TestPki& pki = TestPki::Shared();
  const std::string good = ReadAll(pki.tenant_folder(kAcme) + "/ca.pem");
  TenantDirectory directory;
  ASSERT_TRUE(directory.Register(Tenant(kAcme), good).ok());
  const std::string folder = pki.NewFolder();
  testing::Run("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=rsa -keyout " + folder + "/k -out " +
               folder + "/c");
  const std::string leaf = pki.Issuer(pki.tenant_folder(kAcme))
                               .Issue(pki.Request("spiffe://acme.keystead.example/app/x"))
                               ->chain_pem;
  for (const std::string& bad : {std::string(), std::string("junk"), good.substr(0, good.size() / 2), leaf,
                                 ReadAll(folder + "/c"), good + leaf}) {
    EXPECT_EQ(directory.Register(Tenant(kAcme), bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(directory.Contains(Tenant(kAcme)));
  EXPECT_FALSE(directory.Register(TenantName(), good).ok());
  directory.Remove(Tenant(kAcme));
  EXPECT_FALSE(directory.Contains(Tenant(kAcme)));
}

}  // namespace
}  // namespace keystead
