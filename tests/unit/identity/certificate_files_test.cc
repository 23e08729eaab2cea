#include "core/identity/certificate_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/time/clock.h"
#include "core/identity/tls_process.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::ReadAll;
using testing::Secret;
using testing::TestPki;
using testing::Text;
using testing::WriteAll;

constexpr char kDevice[] = "spiffe://acme.keystead.example/device/d1";

class CertificateFilesTest : public ::testing::Test {
 protected:
  IssuedLeaf Issue(const LeafRequest& request) {
    return *pki_.Issuer(pki_.tenant_folder(kAcme)).Issue(request);
  }
  CertificateFiles Good() { return pki_.Store(Issue(pki_.Request(kDevice)), pki_.provider_roots()); }
  void ExpectError(const CertificateFiles& files, absl::StatusCode code, const std::string& file,
                   const std::string& text) {
    const absl::Status status = ValidateCertificateFiles(files, absl::Now()).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_NE(status.ToString().find(file + ": "), std::string::npos) << status;
    EXPECT_NE(status.ToString().find(text), std::string::npos) << status;
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  }
  size_t FilesBeside(const CertificateFiles& files) {
    const std::filesystem::directory_iterator it(std::filesystem::path(files.key).parent_path());
    return static_cast<size_t>(std::distance(begin(it), end(it)));
  }

  TestPki& pki_ = TestPki::Shared();
};

TEST_F(CertificateFilesTest, DescribesAGoodPair) {
  const absl::StatusOr<CertificateInfo> info = ValidateCertificateFiles(Good(), absl::Now());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->id.str(), kDevice);
  EXPECT_GT(info->not_after, absl::Now());
}

TEST_F(CertificateFilesTest, NamesTheMissingFile) {
  CertificateFiles files = Good();
  for (std::string CertificateFiles::*member :
       {&CertificateFiles::chain, &CertificateFiles::key, &CertificateFiles::roots}) {
    CertificateFiles broken = files;
    broken.*member += ".absent";
    ExpectError(broken, absl::StatusCode::kNotFound, broken.*member, "No such file");
    broken.*member = std::filesystem::path(files.key).parent_path().string();
    ExpectError(broken, absl::StatusCode::kInvalidArgument, broken.*member, "not a regular file");
    WriteAll(files.key + ".junk", "junk");
    ASSERT_EQ(chmod((files.key + ".junk").c_str(), 0600), 0);
    broken.*member = files.key + ".junk";
    ExpectError(broken, absl::StatusCode::kInvalidArgument, broken.*member, "");
  }
}

TEST_F(CertificateFilesTest, RefusesAKeyThatOthersCanReach) {
  const CertificateFiles files = Good();
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666}) {
    ASSERT_EQ(chmod(files.key.c_str(), mode), 0);
    ExpectError(files, absl::StatusCode::kPermissionDenied, files.key, "chmod 600 " + files.key);
  }
  for (const mode_t mode : {0600, 0400}) {
    ASSERT_EQ(chmod(files.key.c_str(), mode), 0);
    EXPECT_TRUE(ValidateCertificateFiles(files, absl::Now()).ok());
  }
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(chown(files.key.c_str(), 12345, static_cast<gid_t>(-1)), 0);
  ExpectError(files, absl::StatusCode::kPermissionDenied, files.key, "belongs to user 12345");
}

TEST_F(CertificateFilesTest, RefusesAKeyOfAnotherCertificate) {
  CertificateFiles files = Good();
  WriteAll(files.key, Text(Issue(pki_.Request(kDevice)).key_pem));
  ExpectError(files, absl::StatusCode::kFailedPrecondition, files.chain, "key does not match");
}

TEST_F(CertificateFilesTest, RefusesATruncatedChain) {
  CertificateFiles files = Good();
  const std::string chain = ReadAll(files.chain);
  WriteAll(files.chain,
           chain.substr(0, chain.size() - 100));  // the leaf is whole, the cross-certificate is not
  ExpectError(files, absl::StatusCode::kInvalidArgument, files.chain, "malformed");
}

TEST_F(CertificateFilesTest, RefusesExpiredAndNotYetValid) {
  LeafRequest request = pki_.Request(kDevice);
  request.not_before = absl::Now() - absl::Hours(2);
  request.not_after = absl::Now() - absl::Hours(1);
  CertificateFiles files = pki_.Store(Issue(request), pki_.provider_roots());
  ExpectError(files, absl::StatusCode::kFailedPrecondition, files.chain, "certificate expired at 20");
  request.not_before = absl::Now() + absl::Hours(1);
  request.not_after = absl::Now() + absl::Hours(2);
  files = pki_.Store(Issue(request), pki_.provider_roots());
  ExpectError(files, absl::StatusCode::kFailedPrecondition, files.chain, "not valid before 20");
}

TEST_F(CertificateFilesTest, RefusesNoAndTwoUriNames) {
  LeafRequest request = pki_.Request(kDevice);
  request.further_uris = {"spiffe://acme.keystead.example/device/d2"};
  CertificateFiles files = pki_.Store(Issue(request), pki_.provider_roots());
  ExpectError(files, absl::StatusCode::kInvalidArgument, files.chain, "2 URI names, must have exactly one");
  files.chain = pki_.tenant_folder(kAcme) + "/ca.pem";
  files.key = pki_.tenant_folder(kAcme) + "/ca.key";
  ExpectError(files, absl::StatusCode::kInvalidArgument, files.chain, "0 URI names, must have exactly one");
}

TEST_F(CertificateFilesTest, InstallsANewPairAndLeavesNothingBehind) {
  const CertificateFiles files = Good();
  const IssuedLeaf next = Issue(pki_.Request(kDevice));
  ASSERT_TRUE(InstallCertificatePair(files, next.chain_pem, next.key_pem, absl::Now()).ok());
  EXPECT_EQ(ReadAll(files.chain), next.chain_pem);
  EXPECT_EQ(ReadAll(files.key), Text(next.key_pem));
  struct stat about {};
  ASSERT_EQ(stat(files.key.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(FilesBeside(files), 3u);
}

TEST_F(CertificateFilesTest, AnInstallThatFailsLeavesTheOldPair) {
  const CertificateFiles files = Good();
  const std::string chain = ReadAll(files.chain), key = ReadAll(files.key), roots = ReadAll(files.roots);
  const IssuedLeaf a = Issue(pki_.Request(kDevice)), b = Issue(pki_.Request(kDevice));
  EXPECT_EQ(InstallCertificatePair(files, a.chain_pem, b.key_pem, absl::Now()).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(InstallCertificatePair(files, "junk", a.key_pem, absl::Now()).ok());
  EXPECT_FALSE(InstallCertificatePair(files, a.chain_pem, a.key_pem, absl::Now() + absl::Hours(48)).ok());
  CertificateFiles nowhere = files;
  nowhere.chain = "/absent-folder/chain.pem";
  EXPECT_EQ(InstallCertificatePair(nowhere, a.chain_pem, a.key_pem, absl::Now()).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(InstallRoots(files, "junk").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(InstallRoots(files, roots.substr(0, roots.size() / 2)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadAll(files.chain), chain);
  EXPECT_EQ(ReadAll(files.key), key);
  EXPECT_EQ(ReadAll(files.roots), roots);
  EXPECT_EQ(FilesBeside(files), 3u);
}

TEST_F(CertificateFilesTest, InstallsRoots) {
  const CertificateFiles files = Good();
  const std::string both = ReadAll(pki_.provider_roots()) + ReadAll(pki_.admission_roots());
  ASSERT_TRUE(InstallRoots(files, both).ok());
  EXPECT_EQ(ReadAll(files.roots), both);
}

TEST(TlsProcessTest, PinsAndMayBeCalledAgain) {
  EXPECT_TRUE(PinTls13Process().ok());
  EXPECT_TRUE(PinTls13Process().ok());
}

}  // namespace
}  // namespace keystead
