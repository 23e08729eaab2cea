// Every kind of keystore keeps the same promises.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "backend/at_rest/file_keystore.h"
#include "backend/at_rest/pkcs11_keystore.h"
#include "core/crypto/hash.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::backend::at_rest {
namespace {

using keystead::testing::ReadAll;
using keystead::testing::TestPki;
using keystead::testing::WriteAll;

constexpr char kModule[] = "/usr/lib/softhsm/libsofthsm2.so";
constexpr char kPin[] = "1234";

const CompartmentId kHome = *CompartmentId::FromBytes(std::string_view("homehome"));

std::string Text(const absl::StatusOr<SecretBytes>& secret) {
  return secret.ok() ? ToHex(secret->ExposeSecret()) : std::string(secret.status().message());
}

class Kind {
 public:
  virtual ~Kind() = default;
  virtual std::unique_ptr<KeyStore> Open() = 0;
};

class Files final : public Kind {
 public:
  std::unique_ptr<KeyStore> Open() override { return *FileKeyStore::Open(folder); }
  const std::string folder = TestPki::Shared().NewFolder() + "/keys";
};

// A SoftHSM2 of its own: its configuration is read when the module is initialised, once per process; the
// token of each test has another name.
class SoftHsm final : public Kind {
 public:
  SoftHsm() {
    static const std::string home = [] {
      std::string folder = TestPki::Shared().NewFolder();
      std::filesystem::create_directory(folder + "/tokens");
      WriteAll(folder + "/softhsm2.conf",
               "directories.tokendir = " + folder + "/tokens\nlog.level = ERROR\n");
      setenv("SOFTHSM2_CONF", (folder + "/softhsm2.conf").c_str(), 1);
      return folder;
    }();
    static int next = 0;
    options.module = kModule;
    options.token = "keystead-" + std::to_string(next++);
    options.pin_file = TestPki::Shared().NewFolder() + "/pin";
    options.salt_folder = TestPki::Shared().NewFolder() + "/salts";
    WriteAll(options.pin_file, std::string(kPin) + "\n");
    chmod(options.pin_file.c_str(), 0600);
    testing::Run("softhsm2-util --init-token --free --label " + options.token + " --pin " + kPin +
                 " --so-pin 5678");
  }
  std::unique_ptr<KeyStore> Open() override {
    auto opened = Pkcs11KeyStore::Open(options);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }
  Pkcs11Options options;
};

class KeyStoreTest : public ::testing::TestWithParam<const char*> {
 protected:
  KeyStoreTest() {
    if (std::string_view(GetParam()) == "files") {
      kind_ = std::make_unique<Files>();
    } else {
      kind_ = std::make_unique<SoftHsm>();
    }
    keys_ = kind_->Open();
  }
  void Reopen() {
    keys_.reset();
    keys_ = kind_->Open();
  }
  std::string Derived(uint32_t tenant, uint32_t version, std::string_view info = "info") {
    return Text(keys_->Derive(tenant, version, AsBytes(info)));
  }

  std::unique_ptr<Kind> kind_;
  std::unique_ptr<KeyStore> keys_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, KeyStoreTest, ::testing::Values("files", "softhsm"));

TEST_P(KeyStoreTest, AKeyIsMadeOnceAndStays) {
  EXPECT_TRUE(absl::IsNotFound(keys_->CurrentVersion(7).status()));
  ASSERT_TRUE(keys_->Create(7).ok());
  const std::string first = Derived(7, 1);
  EXPECT_EQ(first.size(), 64u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(absl::IsAlreadyExists(keys_->Create(7)));  // nobody takes over what is another's
    EXPECT_EQ(Derived(7, 1), first);
    Reopen();
  }
  EXPECT_EQ(*keys_->CurrentVersion(7), 1u);
  EXPECT_NE(Derived(7, 1, "other"), first);
  ASSERT_TRUE(keys_->Create(8).ok());
  EXPECT_NE(Derived(8, 1), first);
}

TEST_P(KeyStoreTest, ARotationKeepsWhatWasBefore) {
  ASSERT_TRUE(keys_->Create(7).ok());
  const std::string first = Derived(7, 1);
  EXPECT_EQ(*keys_->Rotate(7), 2u);
  EXPECT_EQ(*keys_->Rotate(7), 3u);
  Reopen();
  EXPECT_EQ(*keys_->CurrentVersion(7), 3u);
  EXPECT_EQ(Derived(7, 1), first);
  EXPECT_NE(Derived(7, 2), first);
  EXPECT_NE(Derived(7, 3), Derived(7, 2));
  EXPECT_TRUE(absl::IsNotFound(keys_->Derive(7, 4, AsBytes("info")).status()));
  EXPECT_TRUE(absl::IsNotFound(keys_->Derive(7, 0, AsBytes("info")).status()));
  EXPECT_TRUE(absl::IsNotFound(keys_->Rotate(9).status()));
}

TEST_P(KeyStoreTest, WhatIsDestroyedIsGoneAlsoAfterARestart) {
  ASSERT_TRUE(keys_->Create(7).ok() && keys_->Create(8).ok());
  ASSERT_TRUE(keys_->Rotate(7).ok());
  ASSERT_TRUE(keys_->Salt(7, kHome, true).ok());
  const std::string other = Derived(8, 1);
  ASSERT_TRUE(keys_->Destroy(7).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(absl::IsNotFound(keys_->Derive(7, 1, AsBytes("info")).status()));
    EXPECT_TRUE(absl::IsNotFound(keys_->CurrentVersion(7).status()));
    EXPECT_TRUE(absl::IsNotFound(keys_->Salt(7, kHome, true).status()));
    EXPECT_TRUE(absl::IsAlreadyExists(keys_->Create(7)));  // a number is given once
    EXPECT_EQ(Derived(8, 1), other);
    Reopen();
  }
  EXPECT_TRUE(keys_->Destroy(7).ok());
  EXPECT_TRUE(keys_->Destroy(99).ok());
}

TEST_P(KeyStoreTest, SaltsAreMadeOnceAndDestroyedOneByOne) {
  ASSERT_TRUE(keys_->Create(7).ok());
  const CompartmentId other = *CompartmentId::FromBytes(std::string_view("elsewher"));
  EXPECT_TRUE(absl::IsNotFound(keys_->Salt(7, kHome, false).status()));
  const std::string salt = Text(keys_->Salt(7, kHome, true));
  const std::string others = Text(keys_->Salt(7, other, true));
  EXPECT_NE(salt, others);
  Reopen();
  EXPECT_EQ(Text(keys_->Salt(7, kHome, true)), salt);
  ASSERT_TRUE(keys_->DestroySalt(7, kHome).ok());
  EXPECT_TRUE(absl::IsNotFound(keys_->Salt(7, kHome, false).status()));
  EXPECT_EQ(Text(keys_->Salt(7, other, false)), others);
  EXPECT_TRUE(keys_->DestroySalt(7, kHome).ok());
}

// Against the key derivation of the openssl command: SP 800-108 in counter mode, label and context.
TEST(FileKeyStoreTest, DerivesAsSp800108Says) {
  Files files;
  auto keys = files.Open();
  ASSERT_TRUE(keys->Create(1).ok());
  const std::string file = ReadAll(files.folder + "/00000001/keys");
  const std::string key = ToHex(AsBytes(file).last(32));
  const std::string out = TestPki::Shared().NewFolder() + "/derived";
  keystead::testing::Run(
      "openssl kdf -keylen 32 -binary -kdfopt mac:HMAC -kdfopt digest:SHA256 -kdfopt mode:COUNTER "
      "-kdfopt hexkey:" +
      key + " -kdfopt salt:label -kdfopt info:context -out " + out + " KBKDF");
  const std::string info("label\0context", 13);
  EXPECT_EQ(Text(keys->Derive(1, 1, AsBytes(info))), ToHex(AsBytes(ReadAll(out))));
}

TEST(FileKeyStoreTest, FilesAreTheOwnersAndDamageIsNoticed) {
  Files files;
  {
    auto keys = files.Open();
    ASSERT_TRUE(keys->Create(1).ok());
  }
  const std::string path = files.folder + "/00000001/keys";
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(files.folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  std::string content = ReadAll(path);
  content.back() = static_cast<char>(content.back() ^ 1);
  WriteAll(path, content);
  const absl::Status damaged = files.Open()->CurrentVersion(1).status();
  EXPECT_TRUE(absl::IsDataLoss(damaged));
  EXPECT_NE(damaged.message().find(path), absl::string_view::npos) << damaged;
  EXPECT_TRUE(absl::IsAlreadyExists(files.Open()->Create(1)));  // no new key over a damaged one
}

TEST(FileKeyStoreTest, WhatARotationReplacesIsOverwrittenToo) {
  Files files;
  auto keys = files.Open();
  ASSERT_TRUE(keys->Create(1).ok());
  const std::string path = files.folder + "/00000001/keys";
  const std::string link = files.folder + "/the-same-blocks";
  std::filesystem::create_hard_link(path, link);
  const size_t size = ReadAll(link).size();
  ASSERT_TRUE(keys->Rotate(1).ok());
  EXPECT_EQ(ReadAll(link), std::string(size, '\0'));
}

TEST(FileKeyStoreTest, VersionsEndBeforeTheirNumbersDo) {
  Files files;
  auto keys = files.Open();
  ASSERT_TRUE(keys->Create(1).ok());
  absl::Status status;
  for (uint32_t version = 2; version <= kMaxKeyVersions + 1 && status.ok(); ++version)
    status = keys->Rotate(1).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(*keys->CurrentVersion(1), kMaxKeyVersions);
}

// The block on the disk, and not only its name.
TEST(ShredFileTest, OverwritesInPlace) {
  const std::string path = TestPki::Shared().NewFolder() + "/secret";
  WriteAll(path, "the key");
  const std::string link = path + ".other-name";
  std::filesystem::create_hard_link(path, link);
  ASSERT_TRUE(ShredFile(path).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(ReadAll(link), std::string(7, '\0'));
  EXPECT_TRUE(ShredFile(path).ok());
}

TEST(Pkcs11KeyStoreTest, SaysWhatIsMissing) {
  SoftHsm hsm;
  const auto why = [](const Pkcs11Options& options) {
    const auto opened = Pkcs11KeyStore::Open(options);
    return opened.status();
  };
  Pkcs11Options wrong = hsm.options;
  wrong.module = "/absent.so";
  EXPECT_TRUE(absl::IsUnavailable(why(wrong))) << why(wrong);
  wrong = hsm.options;
  wrong.token = "absent";
  EXPECT_NE(why(wrong).message().find("absent"), absl::string_view::npos) << why(wrong);
  WriteAll(hsm.options.pin_file, "0000");
  EXPECT_TRUE(absl::IsPermissionDenied(why(hsm.options))) << why(hsm.options);
  chmod(hsm.options.pin_file.c_str(), 0644);
  EXPECT_TRUE(absl::IsPermissionDenied(why(hsm.options))) << why(hsm.options);
  EXPECT_NE(why(hsm.options).message().find("chmod"), absl::string_view::npos);
}

}  // namespace
}  // namespace keystead::backend::at_rest
