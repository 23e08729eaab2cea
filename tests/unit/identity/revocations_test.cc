// The tenant's signed word about which certificates count no longer.
#include "core/identity/revocations.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/cose/cbor.h"
#include "core/cose/sign1.h"
#include "core/identity/revocation_files.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::Tenant;
using testing::TestPki;

class RevocationsTest : public ::testing::Test {
 protected:
  RevocationsTest() { EXPECT_TRUE(directory_.LoadFolder(pki_.folder() + "/tenants").ok()); }

  SecretBytes CaKey(std::string_view tenant) const {
    return testing::Secret(testing::ReadAll(pki_.tenant_folder(tenant) + "/ca.key"));
  }
  static Revocations Of(uint64_t number, const std::string& text, std::string_view tenant = kAcme) {
    return {.number = number, .tenant = Tenant(tenant), .text = text};
  }
  Bytes Signed(uint64_t number, const std::string& text, std::string_view tenant = kAcme,
               std::string_view signer = kAcme) const {
    auto object = SignRevocations(Of(number, text, tenant), CaKey(signer));
    EXPECT_TRUE(object.ok()) << object.status();
    return *std::move(object);
  }
  absl::StatusCode Opened(ByteView object) const {
    return OpenRevocations(object, directory_).status().code();
  }

  TestPki& pki_ = TestPki::Shared();
  TenantDirectory directory_;
};

TEST_F(RevocationsTest, SayWhatTheTenantSigned) {
  const auto opened = OpenRevocations(Signed(7, "name device/bulb-1\nserial 0AbC # lost\n"), directory_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->number, 7u);
  EXPECT_EQ(opened->tenant, Tenant(kAcme));
  EXPECT_TRUE(opened->entries.names.contains("device/bulb-1"));
  EXPECT_TRUE(opened->entries.serials.contains("abc"));
  EXPECT_EQ(Opened(Signed(1, "")), absl::StatusCode::kOk) << "nobody is revoked any more";
}

TEST_F(RevocationsTest, NobodyElseCanSayIt) {
  EXPECT_EQ(Opened(Signed(1, "", kAcme, kGlobex)), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Opened(Signed(1, "", "unknown.example", kAcme)), absl::StatusCode::kUnauthenticated);
  // The key that a backend holds signs certificates, and nothing of this.
  const SecretBytes enrollment =
      testing::Secret(testing::ReadAll(pki_.tenant_folder(kAcme) + "/enrollment/ca.key"));
  EXPECT_EQ(Opened(*SignRevocations(Of(1, ""), enrollment)), absl::StatusCode::kUnauthenticated);
  const Bytes good = Signed(1, "name device/bulb-1\n");
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes changed = good;
    changed[i] ^= 1;
    EXPECT_NE(Opened(changed), absl::StatusCode::kOk) << i;
    EXPECT_NE(Opened(ByteView(good).first(i)), absl::StatusCode::kOk) << i;
  }
}

TEST_F(RevocationsTest, WhatIsNoListOfTheTenantIsNotSigned) {
  const SecretBytes key = CaKey(kAcme);
  EXPECT_FALSE(SignRevocations(Of(0, ""), key).ok());
  EXPECT_FALSE(SignRevocations(Of(1, "tenant globex.keystead.example\nname device/x\n"), key).ok());
  EXPECT_FALSE(SignRevocations(Of(1, "nonsense\n"), key).ok());
  EXPECT_FALSE(SignRevocations(Of(1, std::string(kMaxRevocationBytes, '#')), key).ok());
  EXPECT_FALSE(SignRevocations(Of(1, ""), testing::Secret("no key")).ok());
  EXPECT_TRUE(SignRevocations(Of(1, absl::StrCat("tenant ", kAcme, "\nname device/x\n")), key).ok());
}

TEST_F(RevocationsTest, AFolderCountsOnAndKeepsWhatItHas) {
  const std::string folder = pki_.NewFolder();
  std::filesystem::copy(pki_.tenant_folder(kAcme) + "/ca.key", folder + "/ca.key");
  EXPECT_EQ(*AddRevocations(folder, Tenant(kAcme), {"name device/a"}), 1u);
  EXPECT_EQ(*AddRevocations(folder, Tenant(kAcme), {"name device/b", "serial 12"}), 2u);
  const auto object = [&] { return testing::ReadAll(folder + "/revocations.cbor"); };
  const auto opened = OpenRevocations(AsBytes(object()), directory_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->number, 2u);
  EXPECT_EQ(opened->text, "name device/a\nname device/b\nserial 12\n");
  // A mistake changes nothing.
  const std::string before = object();
  EXPECT_EQ(AddRevocations(folder, Tenant(kAcme), {"nmae device/c"}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(object(), before);
  EXPECT_EQ(testing::ReadAll(folder + "/revocations.txt"), opened->text);
  // Taken back: people edit the text.
  testing::WriteAll(folder + "/revocations.txt", "name device/b");
  EXPECT_EQ(*AddRevocations(folder, Tenant(kAcme), {}), 3u);
  EXPECT_EQ(OpenRevocations(AsBytes(object()), directory_)->text, "name device/b\n");
  // The number must not be guessed.
  testing::WriteAll(folder + "/revocations.cbor", "x");
  EXPECT_EQ(AddRevocations(folder, Tenant(kAcme), {"name device/c"}).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(RevocationsTest, TheTenantAndTheOperatorTakeNothingBackFromEachOther) {
  DenyList list;
  const SpiffeId bulb = testing::Id("spiffe://acme.keystead.example/device/bulb");
  DenyList::Entries entries;
  entries.names.insert("device/bulb");
  list.Replace(Tenant(kAcme), entries, DenyList::Source::kTenant);
  list.Replace(Tenant(kAcme), {}, DenyList::Source::kOperator);
  EXPECT_TRUE(list.DeniesName(bulb));
  EXPECT_TRUE(list.Denies(Principal::ForTesting(bulb)));
  list.Replace(Tenant(kAcme), entries);
  list.Replace(Tenant(kAcme), {}, DenyList::Source::kTenant);
  EXPECT_TRUE(list.DeniesName(bulb));
  list.Replace(Tenant(kAcme), {});
  EXPECT_FALSE(list.Denies(Principal::ForTesting(bulb)));
}

}  // namespace
}  // namespace keystead
