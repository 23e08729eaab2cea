// A CA of one tenant that names another, where TLS itself would let it pass: refused before any handler runs,
// and recorded.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/base/random.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

TEST_F(BackendTest, ACaOfOneTenantThatNamesAnotherIsRefusedBeforeAnyHandlerAndRecorded) {
  TestPki& pki = TestPki::Shared();
  // Acme's second CA bears no name constraint, and the provider trusts it: two mistakes at once.
  const std::string second = pki.UnconstrainedCa("second");
  const std::string folder = pki.NewFolder();
  const std::string second_ca = ReadAll(second + "/ca.pem");
  WriteAll(folder + "/roots.pem", ReadAll(pki.admission_roots()) + second_ca);
  WriteAll(folder + "/acme.pem", ReadAll(pki.tenant_folder(kAcme) + "/ca.pem") + second_ca);
  options_.tls.roots = folder + "/roots.pem";
  options_.tenants = {absl::StrCat(kAcme, "=", folder, "/acme.pem")};
  Restart();
  backend_->Tick();  // the folder, which is looked at again, does not undo what was named by itself

  const MailboxName box = RandomSource::System().NewId<MailboxName>();
  const auto leaf = [&](std::string_view tenant, Role role) {
    return pki.Store(*pki.Issuer(second).Issue(pki.Request(Uri(tenant, role, "x"))), pki.provider_roots());
  };
  Peer own(backend_->port(), leaf(kAcme, Role::kDevice));
  EXPECT_EQ(own.Put(box, "x").error_code(), grpc::StatusCode::OK) << "it is acme's";
  for (const Role role : {Role::kDevice, Role::kGateway, Role::kApp, Role::kAdmin, Role::kFactory}) {
    Peer forger(backend_->port(), leaf(kGlobex, role));
    const size_t before = Events(SecurityEventKind::kIssuerMismatch);
    const uint64_t requests = backend_->GetStats().transport.requests;
    const grpc::Status status = forger.Put(box, "forged");
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << RoleName(role);
    EXPECT_EQ(status.error_message(), "the caller is not known here");
    EXPECT_EQ(Events(SecurityEventKind::kIssuerMismatch), before + 1);
    EXPECT_EQ(forger.Publish("forged").status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(Events(SecurityEventKind::kIssuerMismatch), before + 2);
    EXPECT_EQ(backend_->GetStats().transport.requests, requests) << "no handler saw it";
  }
  std::vector<std::string> messages;
  EXPECT_EQ(As(kGlobex, Role::kDevice, "y").Await(box, 0, &messages, absl::Milliseconds(200)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED)
      << "nor has it left anything";
}

}  // namespace
}  // namespace keystead::testing
