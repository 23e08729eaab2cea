// The audit logs of a running backend: what stands in them, who gets them, and what cannot be done to them.
#include <gmock/gmock.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/audit/verify.h"
#include "core/identity/enrollment.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "keystead/v1/enrollment.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using v1::TenantAdmin;

class AuditTest : public BackendTest {
 protected:
  AuditTest() {
    options_.audit.chain = TestPki::Shared().folder() + "/provider/audit/chain.pem";
    options_.audit.key = TestPki::Shared().folder() + "/provider/audit/key.pem";
    clock_.Advance(absl::Minutes(1));  // it was read before the certificates were made
    Restart();
  }

  struct Exported {
    grpc::Status status;
    Bytes file;
    std::vector<std::string> lines;  // "action object by actor: detail"; empty unless it verified
    audit::Head head;
    std::string with(std::string_view action) const {
      for (const std::string& line : lines) {
        if (line.starts_with(action)) return line;
      }
      return "";
    }
  };
  Exported Export(Peer& peer, std::string_view tenant, uint64_t from = 0) {
    Exported out;
    TenantAdmin::Stub stub(peer.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::AuditRequest request;
    request.set_tenant(std::string(tenant));
    request.set_from_sequence(from);
    const auto reader = stub.Audit(&context, request);
    v1::AuditChunk chunk;
    while (reader->Read(&chunk)) {
      if (out.file.empty()) out.file = audit::EncodeExportHeader(chunk.chain_pem(), AsBytes(chunk.head()));
      for (const std::string& entry : chunk.entries())
        out.file.insert(out.file.end(), entry.begin(), entry.end());
    }
    out.status = reader->Finish();
    if (!out.status.ok()) return out;
    const auto log = audit::VerifyExport(out.file, ReadAll(TestPki::Shared().provider_roots()),
                                         from == 0 ? audit::Extent::kWhole : audit::Extent::kPart);
    EXPECT_TRUE(log.ok()) << log.status();
    if (!log.ok()) return out;
    out.head = log->head;
    for (const audit::Entry& entry : log->entries) {
      out.lines.push_back(absl::StrCat(entry.event.action, " ", entry.event.object, " by ", entry.event.actor,
                                       ": ", entry.event.detail));
    }
    return out;
  }
  audit::VerifiedExport Verified(const Exported& exported) {
    return audit::VerifyExport(exported.file, ReadAll(TestPki::Shared().provider_roots())).value();
  }
  // Until the housekeeper has brought in what it notes.
  Exported Await(Peer& peer, std::string_view tenant, std::string_view action) {
    while (true) {
      Exported out = Export(peer, tenant);
      if (!out.status.ok() || !out.with(action).empty()) return out;
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  grpc::Status SetStreams(std::string_view tenant, uint64_t streams) {
    TenantAdmin::Stub stub(Operator().channel());
    grpc::ClientContext context;
    v1::SetLimitsRequest request;
    request.set_tenant(std::string(tenant));
    request.mutable_limits()->set_streams(streams);
    v1::SetLimitsResponse response;
    return stub.SetLimits(&context, request, &response);
  }
  Peer& Alice() { return As(kAcme, Role::kAdmin, "alice"); }

  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
};

TEST_F(AuditTest, AdministrationAndCommitsStandInTheTenantsLog) {
  EXPECT_THAT(Export(Alice(), kAcme).lines, IsEmpty());
  Furnish(home_);
  ASSERT_TRUE(SetStreams(kAcme, 77).ok());
  const Exported log = Export(Alice(), kAcme);
  EXPECT_EQ(log.head.tenant.str(), kAcme);
  EXPECT_THAT(log.lines,
              Contains(AllOf(HasSubstr("commit_accepted " + home_.id().ToHex()),
                             HasSubstr("by " + Uri(kAcme, Role::kApp, "phone")), HasSubstr("epoch 0"))));
  EXPECT_THAT(log.with("limits_set"), AllOf(HasSubstr("operator/ops"), HasSubstr("streams: 77")));
  // The provider keeps its own doings as well, under its name and for operators only.
  EXPECT_THAT(Export(Operator(), kProvider).with("limits_set"), HasSubstr(kAcme));
  EXPECT_EQ(Export(Alice(), kProvider).status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Export(Operator(), kProvider).with("commit_accepted"), "");

  const audit::VerifiedExport before = Verified(log);
  Restart();
  const Exported after = Export(Alice(), kAcme);
  EXPECT_TRUE(audit::Extends(Verified(after), before).ok());
  EXPECT_EQ(
      std::ranges::count_if(after.lines, [](const std::string& line) { return line.starts_with("commit_"); }),
      2);
}

TEST_F(AuditTest, OneTenantsLogIsNobodyElses) {
  Furnish(home_);
  const Exported theirs = Export(As(kGlobex, Role::kAdmin, "bob"), kAcme);
  const Exported nobodys = Export(As(kGlobex, Role::kAdmin, "bob"), "absent.example");
  EXPECT_EQ(theirs.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(theirs.status.error_message(), nobodys.status.error_message());
  EXPECT_THAT(theirs.file, IsEmpty());
  EXPECT_EQ(Export(Phone(), kAcme).status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(Export(As(kGlobex, Role::kAdmin, "bob"), kGlobex).lines,
              Not(Contains(HasSubstr("commit_accepted"))));
}

TEST_F(AuditTest, RefusalsAreCountedAndCannotFillTheLog) {
  Furnish(home_);
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    ASSERT_FALSE(Spy().FetchFrom(kAcme, home_.id()).ok());
    backend_->Tick();  // each could be an entry of its own
  }
  const Exported log = Await(Alice(), kAcme, "refused not_permitted");
  EXPECT_THAT(log.with("refused not_permitted"), HasSubstr("another tenant"));
  for (const std::string& line : log.lines) EXPECT_THAT(line, Not(HasSubstr("globex")));
  EXPECT_THAT(Await(Operator(), kProvider, "refused not_permitted").with("refused"), HasSubstr("globex"));

  // At the end everything that was counted is there, in no more entries than the ration has.
  Restart();
  uint64_t counted = 0;
  size_t entries = 0;
  for (const std::string& line : Export(Alice(), kAcme).lines) {
    if (!line.starts_with("refused not_permitted")) continue;
    ++entries;
    uint64_t times = 0;
    ASSERT_TRUE(
        absl::SimpleAtoi(line.substr(line.find(": ") + 2, line.find(" time") - line.find(": ") - 2), &times));
    counted += times;
  }
  EXPECT_EQ(counted, static_cast<uint64_t>(kTries));
  EXPECT_LE(entries, 17u);
}

TEST_F(AuditTest, ExportsAreRecordedAndCannotFillTheLogEither) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Export(Alice(), kAcme).status.ok());
  const Exported log = Await(Alice(), kAcme, "audit_exported");
  EXPECT_THAT(log.with("audit_exported"), HasSubstr("admin/alice"));
  EXPECT_LE(log.head.count, 17u);
}

TEST_F(AuditTest, ACertificateIsInTheLogBeforeItLeaves) {
  options_.enrollment.folder = TestPki::Shared().folder() + "/tenants";
  Restart();
  const CertificateFiles factory = TestPki::Shared().Leaf(kAcme, Role::kFactory, "device.audited");
  const PreparedEnrollment prepared = PrepareEnrollment(factory, absl::Now()).value();
  Peer peer(backend_->port(), factory);
  v1::EnrollRequest request;
  request.set_factory_chain(prepared.request.factory_chain);
  request.set_proof(ToString(prepared.request.proof));
  v1::EnrollResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(v1::Enrollment::NewStub(peer.channel())->Enroll(&context, request, &response).ok());
  const CertificateInfo issued =
      ValidateCertificatePair(response.chain(), prepared.key_pem, absl::Now()).value();
  EXPECT_THAT(Export(Alice(), kAcme).with("certificate_issued"),
              AllOf(HasSubstr(Uri(kAcme, Role::kDevice, "audited")), HasSubstr("serial " + issued.serial)));
}

TEST_F(AuditTest, WhatIsDeniedIsRecorded) {
  options_.deny_list = TestPki::Shared().NewFolder() + "/denied";
  WriteAll(options_.deny_list, absl::StrCat("tenant ", kAcme, "\nname device/lost\n"));
  Restart();
  EXPECT_THAT(Await(Alice(), kAcme, "deny_list_changed").with("deny_list_changed"),
              HasSubstr("+name device/lost"));
  const uint64_t count = Export(Alice(), kAcme).head.count;
  WriteAll(options_.deny_list, absl::StrCat("tenant ", kAcme, "\nname device/stolen\n"));
  // Behind it there may be what the exports themselves left.
  const auto is_there = [](const std::string& line) { return line.find("stolen") != std::string::npos; };
  while (std::ranges::none_of(Export(Alice(), kAcme).lines, is_there)) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_GT(Export(Alice(), kAcme).head.count, count);
  EXPECT_THAT(Export(Alice(), kAcme).lines, Contains(HasSubstr("-name device/lost")));
  EXPECT_EQ(Export(As(kGlobex, Role::kAdmin, "bob"), kGlobex).with("deny_list_changed"), "");
}

TEST_F(AuditTest, TheOldestGoAndTheHeadSaysSo) {
  options_.audit.max_entries = 32;
  options_.audit.max_age = absl::Hours(24);
  Restart();
  ASSERT_TRUE(SetStreams(kAcme, 1).ok());
  const audit::VerifiedExport before = Verified(Export(Operator(), kAcme));
  for (uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(SetStreams(kAcme, i).ok());
  const audit::VerifiedExport all = Verified(Export(Operator(), kAcme));
  EXPECT_EQ(all.begin(), 0u);
  EXPECT_EQ(audit::Extends(all, before)->trimmed, 0u);
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(SetStreams(kAcme, i).ok());
  const Exported trimmed = Export(Operator(), kAcme);
  EXPECT_LE(trimmed.head.count, 32u + 16u);
  EXPECT_GT(trimmed.head.first, 0u);
  EXPECT_FALSE(audit::Extends(Verified(trimmed), before).ok()) << "the gap is not shown by anything";
  clock_.Advance(options_.audit.max_age + absl::Hours(1));
  for (uint64_t i = 0; i < 16; ++i) ASSERT_TRUE(SetStreams(kAcme, i).ok());
  EXPECT_GE(Verified(Export(Operator(), kAcme)).entries.front().time, clock_.Now() - options_.audit.max_age);
}

TEST_F(AuditTest, APartContinuesWhatSomebodyHas) {
  Furnish(home_);
  const audit::VerifiedExport before = Verified(Export(Alice(), kAcme));
  ASSERT_TRUE(SetStreams(kAcme, 5).ok());
  const Exported part = Export(Alice(), kAcme, before.head.end());
  EXPECT_THAT(part.lines, Contains(HasSubstr("streams: 5")));
  EXPECT_THAT(part.lines, Not(Contains(HasSubstr("commit_accepted"))));
  const auto log =
      audit::VerifyExport(part.file, ReadAll(TestPki::Shared().provider_roots()), audit::Extent::kPart);
  EXPECT_EQ(audit::Extends(*log, before)->added, part.lines.size());
  EXPECT_EQ(Export(Alice(), kAcme, part.head.end() + 1000).status.error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AuditTest, WithoutAKeyThereIsNoExportAndWithAWrongOneNoStart) {
  const std::string chain = std::exchange(options_.audit.chain, "");
  const std::string key = std::exchange(options_.audit.key, "");
  Restart();
  Furnish(home_);
  EXPECT_EQ(Export(Alice(), kAcme).status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Export(As(kGlobex, Role::kAdmin, "bob"), kAcme).status.error_code(), grpc::StatusCode::NOT_FOUND);
  options_.audit.chain = options_.tls.chain;
  options_.audit.key = options_.tls.key;
  StopBackend();
  EXPECT_FALSE(TryStart());
  options_.audit.chain = chain;
  options_.audit.key = key;
  ASSERT_TRUE(TryStart());
  EXPECT_NE(Export(Alice(), kAcme).with("commit_accepted"), "") << "it was kept all the same";
}

}  // namespace
}  // namespace keystead::testing
