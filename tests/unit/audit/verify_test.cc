// What a hostile carrier, and a provider that changes its mind, can do to an export.
#include "core/audit/verify.h"

#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::audit {
namespace {

using keystead::testing::ReadAll;
using keystead::testing::TestPki;
using keystead::testing::WriteAll;

constexpr char kTenant[] = "acme.keystead.example";

const std::string& Ca() {
  static const auto* const ca = new std::string(ReadAll(TestPki::Shared().provider_roots()));
  return *ca;
}

SigningIdentity Load(const std::string& folder) {
  return LoadSigningIdentity(folder + "/chain.pem", folder + "/key.pem", absl::Now()).value();
}

const SigningIdentity& Auditor() {
  static const auto* const signer = new SigningIdentity(Load(TestPki::Shared().folder() + "/provider/audit"));
  return *signer;
}

// The log that a provider keeps.
struct Log {
  explicit Log(std::string_view tenant = kTenant) { head.tenant = TenantName::Parse(tenant).value(); }
  void Add(const std::string& detail) {
    entries.push_back(EncodeEntry({head.end(), absl::Now(), {"", "tried", "", detail}, head.head}));
    head.head = HashEntry(head.tenant, entries.back());
    ++head.count;
  }
  void Trim() {
    head.before = HashEntry(head.tenant, entries.front());
    entries.erase(entries.begin());
    ++head.first, --head.count;
  }
  Bytes SignedHead(const SigningIdentity& signer = Auditor()) {
    head.time = absl::Now();
    return SignHead(signer, head).value();
  }
  Head head;
  std::vector<Bytes> entries;
};

Log Grown(int entries, std::string_view tenant = kTenant) {
  Log log(tenant);
  for (int i = 0; i < entries; ++i) log.Add(absl::StrCat("entry ", i));
  return log;
}

Bytes File(const Bytes& signed_head, const std::vector<Bytes>& entries,
           std::string_view chain = Auditor().chain_pem) {
  Bytes file = EncodeExportHeader(chain, signed_head);
  for (const Bytes& entry : entries) file.insert(file.end(), entry.begin(), entry.end());
  return file;
}
Bytes File(Log& log) { return File(log.SignedHead(), log.entries); }
bool Good(const Bytes& file) { return VerifyExport(file, Ca()).ok(); }

VerifiedExport Verified(Log& log, size_t from = 0) {
  std::vector<Bytes> part(log.entries.begin() + static_cast<ptrdiff_t>(from), log.entries.end());
  return VerifyExport(File(log.SignedHead(), part), Ca(), from == 0 ? Extent::kWhole : Extent::kPart).value();
}

TEST(AuditVerifyTest, AnExportIsGoodAsItIs) {
  for (const int size : {0, 1, 2, 40}) {
    Log log = Grown(size);
    const auto verified = VerifyExport(File(log), Ca());
    ASSERT_TRUE(verified.ok()) << verified.status();
    EXPECT_EQ(verified->entries.size(), static_cast<size_t>(size));
    EXPECT_EQ(verified->head.tenant.str(), kTenant);
    EXPECT_EQ(verified->signer.str(),
              absl::StrCat("spiffe://", keystead::testing::kProvider, "/service/audit"));
  }
}

TEST(AuditVerifyTest, EveryEditOfOneByteIsFound) {
  Log log = Grown(3);
  const Bytes file = File(log);
  ASSERT_TRUE(Good(file));
  for (size_t at = 0; at < file.size(); ++at) {
    for (const uint8_t change : {uint8_t{0x01}, uint8_t{0x20}, uint8_t{0x80}}) {
      Bytes edited = file;
      edited[at] ^= change;
      EXPECT_FALSE(Good(edited)) << at << " ^ " << int{change};
    }
  }
}

TEST(AuditVerifyTest, EveryRemovalSwapAndTruncationIsFound) {
  Log log = Grown(8);
  const Bytes head = log.SignedHead();
  for (size_t i = 0; i < log.entries.size(); ++i) {
    std::vector<Bytes> less = log.entries;
    less.erase(less.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_FALSE(Good(File(head, less))) << "without " << i;
    EXPECT_FALSE(Good(File(head, {log.entries.begin(), log.entries.begin() + static_cast<ptrdiff_t>(i)})))
        << "cut at " << i;
    std::vector<Bytes> twice = log.entries;
    twice.insert(twice.begin() + static_cast<ptrdiff_t>(i), log.entries[i]);
    EXPECT_FALSE(Good(File(head, twice))) << i << " twice";
    for (size_t k = i + 1; k < log.entries.size(); ++k) {
      std::vector<Bytes> swapped = log.entries;
      std::swap(swapped[i], swapped[k]);
      EXPECT_FALSE(Good(File(head, swapped))) << i << " and " << k;
    }
  }
  const Bytes file = File(head, log.entries);
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_FALSE(Good(Bytes(file.begin(), file.begin() + static_cast<ptrdiff_t>(size)))) << size;
}

TEST(AuditVerifyTest, APartIsNotAWholeAndIsSaidToBeOne) {
  Log log = Grown(5);
  const Bytes part = File(log.SignedHead(), {log.entries.begin() + 2, log.entries.end()});
  EXPECT_FALSE(Good(part));
  EXPECT_EQ(VerifyExport(part, Ca(), Extent::kPart)->begin(), 2u);
}

TEST(AuditVerifyTest, AnotherTenantsLogIsNotThisOnes) {
  Log acme = Grown(4);
  Log globex = Grown(4, "globex.keystead.example");
  EXPECT_FALSE(Good(File(acme.SignedHead(), globex.entries)));
  EXPECT_FALSE(Good(File(globex.SignedHead(), acme.entries)));
  // Even with the hashes of the other's chain: the tenant is in each.
  Log mixed = Grown(4);
  mixed.entries = globex.entries;
  mixed.head.head = globex.head.head;
  EXPECT_FALSE(Good(File(mixed)));
}

TEST(AuditVerifyTest, AHeadOfAnotherMomentDoesNotFit) {
  Log log = Grown(4);
  const Bytes old = log.SignedHead();
  log.Add("later");
  EXPECT_FALSE(Good(File(old, log.entries)));
  const Bytes now = log.SignedHead();
  log.entries.pop_back();
  EXPECT_FALSE(Good(File(now, log.entries)));
}

TEST(AuditVerifyTest, OnlyTheProvidersAuditKeySigns) {
  Log log = Grown(2);
  TestPki& pki = TestPki::Shared();
  EXPECT_FALSE(SignHead(Load(pki.folder() + "/provider/backend"), log.head).ok());

  const CertificateIssuer ca = pki.Issuer(pki.folder() + "/provider");
  const auto identity = [&](const CertificateIssuer& issuer, const LeafRequest& request) {
    const CertificateFiles files = pki.Store(issuer.Issue(request).value(), pki.provider_roots());
    SigningIdentity out = LoadSigningIdentity(files.chain, files.key, absl::Now()).value();
    out.id = Auditor().id;  // a signer that does not care whether it may
    return out;
  };
  const std::string audit = absl::StrCat("spiffe://", keystead::testing::kProvider, "/service/audit");
  const auto good = [&](const SigningIdentity& signer) {
    return Good(File(log.SignedHead(signer), log.entries, signer.chain_pem));
  };
  EXPECT_TRUE(good(identity(ca, pki.Request(audit))));
  EXPECT_FALSE(good(identity(
      ca, pki.Request(absl::StrCat("spiffe://", keystead::testing::kProvider, "/service/backend")))));
  EXPECT_FALSE(good(
      identity(ca, pki.Request(absl::StrCat("spiffe://", keystead::testing::kProvider, "/operator/audit")))));
  // Another provider's name under this CA, and this name under another CA.
  EXPECT_FALSE(good(identity(ca, pki.Request("spiffe://provider-two.example/service/audit"))));
  EXPECT_FALSE(good(identity(pki.Issuer(pki.tenant_folder(kTenant)), pki.Request(audit))));
  LeafRequest ended = pki.Request(audit);
  ended.not_before = absl::Now() + absl::Hours(1);
  ended.not_after = absl::Now() + absl::Hours(2);
  const CertificateFiles later = pki.Store(ca.Issue(ended).value(), pki.provider_roots());
  const SigningIdentity early =
      LoadSigningIdentity(later.chain, later.key, absl::Now() + absl::Minutes(90)).value();
  EXPECT_FALSE(good(early)) << "signed when the certificate was not valid";
  // The right certificates beside a head of another key.
  EXPECT_FALSE(Good(File(log.SignedHead(identity(ca, pki.Request(audit))), log.entries)));
}

TEST(AuditVerifyTest, TrimmingIsSignedAndIsNotRemoval) {
  Log log = Grown(6);
  const VerifiedExport before = Verified(log);
  log.Trim();
  log.Trim();
  log.Add("one more");
  const VerifiedExport after = Verified(log);
  EXPECT_EQ(after.begin(), 2u);
  const Continuation more = Extends(after, before).value();
  EXPECT_EQ(more.added, 1u);
  EXPECT_EQ(more.trimmed, 2u);
  EXPECT_FALSE(Extends(before, after).ok());
}

TEST(AuditVerifyTest, AContinuationShowsNothingOfTheOlderRewritten) {
  Log log = Grown(4);
  const VerifiedExport old = Verified(log);
  Log other = Grown(4);  // as many entries, made anew
  other.Add("more");
  EXPECT_FALSE(Extends(Verified(other), old).ok());
  Log shorter = Grown(2);
  EXPECT_FALSE(Extends(Verified(shorter), old).ok());
  log.Add("more");
  log.Add("and more");
  EXPECT_EQ(Extends(Verified(log), old)->added, 2u);
  for (size_t from = 1; from <= 6; ++from)
    EXPECT_EQ(Extends(Verified(log, from), old).ok(), from <= 4) << "a part from " << from;
  for (int i = 0; i < 4; ++i) log.Trim();
  EXPECT_EQ(Extends(Verified(log), old)->trimmed, 4u);
  log.Trim();
  EXPECT_FALSE(Extends(Verified(log), old).ok()) << "what was between is kept nowhere";
  Log globex = Grown(9, "globex.keystead.example");
  EXPECT_FALSE(Extends(Verified(globex), old).ok());
  Log empty = Grown(0);
  EXPECT_EQ(Extends(old, Verified(empty))->added, 4u);
}

TEST(AuditVerifyTest, ARewrittenBeginningIsFoundAlsoWhereItWasTrimmed) {
  Log log = Grown(4);
  const VerifiedExport old = Verified(log);
  Log forged = Grown(3);
  forged.Add("entry 3, but another");
  forged.Add("more");
  for (int i = 0; i < 4; ++i) forged.Trim();  // begins just behind the older: only `before` tells
  EXPECT_FALSE(Extends(Verified(forged), old).ok());
}

}  // namespace
}  // namespace keystead::audit
