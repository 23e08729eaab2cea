// certs/make-pki and certs/issue, run as a user runs them.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/time/clock.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::ReadAll;
using testing::RunAny;
using testing::TestPki;

std::string MakePki(const std::string& arguments, int* exit_code) {
  return RunAny(testing::CertsCommand("make-pki") + " " + arguments, exit_code);
}

TEST(MakePkiTest, KeepsKeysFromOthers) {
  size_t keys = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(TestPki::Shared().folder() + "/provider")) {
    struct stat about {};
    ASSERT_EQ(stat(entry.path().c_str(), &about), 0);
    if (entry.is_directory()) {
      EXPECT_EQ(about.st_mode & 0777, 0700u) << entry.path();
    }
    if (entry.path().filename() == "ca.key" || entry.path().filename() == "key.pem") {
      EXPECT_EQ(about.st_mode & 0777, 0600u) << entry.path();
      ++keys;
    }
  }
  EXPECT_EQ(keys, 4u);
}

TEST(MakePkiTest, KeepsWhatIsThereAndAddsTenants) {
  const TestPki pki;
  const std::string ca = ReadAll(pki.tenant_folder(kAcme) + "/ca.pem");
  const std::string backend = ReadAll(pki.Backend().chain);
  int exit_code = -1;
  MakePki("--out " + pki.folder() + " --tenant " + kAcme + " --tenant third.keystead.example", &exit_code);
  EXPECT_EQ(exit_code, 0);
  EXPECT_EQ(ReadAll(pki.tenant_folder(kAcme) + "/ca.pem"), ca);
  EXPECT_EQ(ReadAll(pki.Backend().chain), backend);
  EXPECT_TRUE(std::filesystem::exists(pki.tenant_folder("third.keystead.example") + "/cross.pem"));
  for (const auto& entry : std::filesystem::directory_iterator(pki.folder())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".new.")) << entry.path();
  }
}

TEST(MakePkiTest, RefusesNamesThatAreNoDnsNames) {
  const std::string out = TestPki::Shared().NewFolder() + "/pki";
  for (const char* name :
       {"Acme.example", "acme", "../acme.example", "a.example/device", "a.example,URI:b.example",
        ".a.example", "-a.example", "a..example", "a.example."}) {
    int exit_code = 0;
    MakePki("--out " + out + " --tenant '" + name + "'", &exit_code);
    EXPECT_NE(exit_code, 0) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(MakePkiTest, RefusesAnotherProviderInTheSamePlace) {
  int exit_code = 0;
  MakePki("--out " + TestPki::Shared().folder() + " --provider provider-two.example", &exit_code);
  EXPECT_NE(exit_code, 0);
}

TEST(IssueTest, KeepsAGoodLeafAndReplacesItWhenForced) {
  const TestPki& pki = TestPki::Shared();
  const std::string first = ReadAll(pki.Leaf(kAcme, Role::kApp, "phone").chain);
  EXPECT_EQ(ReadAll(pki.Leaf(kAcme, Role::kApp, "phone").chain), first);
  EXPECT_NE(ReadAll(pki.Leaf(kAcme, Role::kApp, "phone", "--force").chain), first);
}

TEST(IssueTest, IssuesManyAtOnce) {
  const TestPki& pki = TestPki::Shared();
  int exit_code = -1;
  RunAny(testing::CertsCommand("issue") + " --out " + pki.folder() + " --tenant " + kAcme +
             " --role device --id-prefix many- --first 5 --count 20",
         &exit_code);
  EXPECT_EQ(exit_code, 0);
  for (int i = 5; i < 25; ++i) {
    const std::string folder = pki.tenant_folder(kAcme) + "/device/many-" + std::to_string(i);
    EXPECT_TRUE(ValidateCertificateFiles({folder + "/chain.pem", folder + "/key.pem", pki.provider_roots()},
                                         absl::Now())
                    .ok());
  }
}

TEST(IssueTest, RefusesUnknownRolesTenantsAndIds) {
  const TestPki& pki = TestPki::Shared();
  const std::string command = testing::CertsCommand("issue") + " --out " + pki.folder();
  for (const char* arguments :
       {" --tenant acme.keystead.example --role root --id x", " --tenant absent.example --role app --id x",
        " --tenant acme.keystead.example --role app --id ../x", " --tenant acme.keystead.example --role app",
        " --role app --id x", " --tenant ../acme.keystead.example --role app --id x"}) {
    int exit_code = 0;
    RunAny(command + arguments, &exit_code);
    EXPECT_NE(exit_code, 0) << arguments;
  }
}

}  // namespace
}  // namespace keystead
