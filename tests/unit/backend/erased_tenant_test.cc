// What an erased tenant had open ends, nothing of it is left in memory, and who erased what stays on record.
#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "backend/audit_log.h"
#include "core/audit/verify.h"
#include "core/base/random.h"
#include "core/identity/revocations.h"
#include "core/observe/log.h"
#include "keystead/v1/revocation.grpc.pb.h"
#include "tests/unit/backend/erasure_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

// What is logged while it lives, in a file.
class LoggedTo {
 public:
  LoggedTo() { EXPECT_TRUE(ConfigureLog({.program = "backend_test", .file = file_}).ok()); }
  ~LoggedTo() { EXPECT_TRUE(ConfigureLog({.program = "backend_test"}).ok()); }
  size_t Lines(std::string_view event) const {
    const std::string all = ReadAll(file_);
    const std::string wanted = absl::StrCat("\"event\":\"", std::string(event), "\"");
    size_t count = 0;
    for (size_t at = all.find(wanted); at != std::string::npos; at = all.find(wanted, at + 1)) ++count;
    return count;
  }

 private:
  const std::string file_ = TestPki::Shared().NewFolder() + "/log";
};

class ErasedTenantTest : public ErasureTest {
 protected:
  ErasedTenantTest() {
    options_.audit.chain = TestPki::Shared().folder() + "/provider/audit/chain.pem";
    options_.audit.key = TestPki::Shared().folder() + "/provider/audit/key.pem";
    clock_.Advance(absl::Minutes(1));  // it was read before the certificates were made
    options_.tenants_folder = TestPki::Shared().NewFolder() + "/tenants";
    std::filesystem::copy(TestPki::Shared().folder() + "/tenants", options_.tenants_folder,
                          std::filesystem::copy_options::recursive);
    Restart();
  }
  static void Soon(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  }
  static std::string Object(uint64_t number, const std::string& text) {
    const SecretBytes key = Secret(ReadAll(TestPki::Shared().tenant_folder(kAcme) + "/ca.key"));
    return ToString(*SignRevocations({.number = number, .tenant = Tenant(kAcme), .text = text}, key));
  }
  static grpc::Status PutRevocations(Peer& peer, const std::string& object) {
    v1::PutRevocationsRequest request;
    request.set_object(object);
    v1::PutRevocationsResponse response;
    grpc::ClientContext context;
    Soon(context);
    return v1::Revocation::NewStub(peer.channel())->Put(&context, request, &response);
  }
  grpc::Status CreateAcme() {
    v1::CreateTenantRequest request;
    request.set_tenant(kAcme);
    request.set_ca_pem(ReadAll(TestPki::Shared().tenant_folder(kAcme) + "/ca.pem"));
    v1::CreateTenantResponse response;
    grpc::ClientContext context;
    Soon(context);
    return v1::TenantAdmin::NewStub(Operator().channel())->Create(&context, request, &response);
  }
  grpc::Status RotateKey(Peer& peer) {
    v1::RotateKeyRequest request;
    request.set_tenant(kAcme);
    v1::RotateKeyResponse response;
    grpc::ClientContext context;
    Soon(context);
    return v1::TenantAdmin::NewStub(peer.channel())->RotateKey(&context, request, &response);
  }
  // "action object by actor: detail" of the provider's own log.
  std::vector<std::string> ProvidersLog() {
    v1::AuditRequest request;
    request.set_tenant(kProvider);
    grpc::ClientContext context;
    Soon(context);
    const auto reader = v1::TenantAdmin::NewStub(Operator().channel())->Audit(&context, request);
    v1::AuditChunk chunk;
    Bytes file;
    while (reader->Read(&chunk)) {
      if (file.empty()) file = audit::EncodeExportHeader(chunk.chain_pem(), AsBytes(chunk.head()));
      for (const std::string& entry : chunk.entries()) file.insert(file.end(), entry.begin(), entry.end());
    }
    EXPECT_TRUE(reader->Finish().ok());
    const auto log =
        audit::VerifyExport(file, ReadAll(TestPki::Shared().provider_roots()), audit::Extent::kWhole);
    EXPECT_TRUE(log.ok()) << log.status();
    std::vector<std::string> out;
    if (!log.ok()) return out;
    for (const audit::Entry& entry : log->entries)
      out.push_back(absl::StrCat(entry.event.action, " ", entry.event.object, " by ", entry.event.actor, ": ",
                                 entry.event.detail));
    return out;
  }
  // More than a caller that does not read is sent.
  void FillAuditLogOfAcme() {
    StopBackend();
    Offline offline(options_.store.path, KeysFolder());
    TenantDirectory directory;
    EXPECT_TRUE(directory.LoadFolder(options_.tenants_folder).ok());
    const auto tenants = *backend::Tenants::Open(offline.store, directory, {.keys = offline.keys.get()});
    const backend::AuditBook book(*tenants->Known(Tenant(kAcme)));
    const backend::AuditLog log(&offline.store, {});
    EXPECT_TRUE(offline.store
                    .Commit([&](storage::Transaction& transaction) -> absl::Status {
                      for (int i = 0; i < 16000; ++i) {
                        const absl::Status status =
                            log.Append(transaction, book, {"somebody", "filled", "", std::string(1000, 'x')});
                        if (!status.ok()) return status;
                      }
                      return absl::OkStatus();
                    })
                    .ok());
  }
};

// Nothing that would end them some time later runs: it is the erasure that does.
TEST_F(ErasedTenantTest, EveryKindOfOpenCallEndsWithIt) {
  FillAuditLogOfAcme();
  options_.transport.recheck_interval = absl::Hours(1);
  options_.tick = absl::Hours(1);
  Start();
  backend_->Tick();  // the first look at the tenants, after which all open calls are looked at
  const auto subscription = Phone().Subscribe(home_, {telemetry_});
  ASSERT_TRUE(subscription->CaughtUp());
  grpc::ClientContext publishing;
  Soon(publishing);
  const auto stream = Bulb().transport().Publish(&publishing);
  stream->WaitForInitialMetadata();

  const MailboxName box = RandomSource::System().NewId<MailboxName>();
  grpc::Status awaited;
  std::thread waiter([&, &hall = Hall()] {
    std::vector<std::string> messages;
    awaited = hall.Await(box, 0, &messages, absl::Seconds(30));
  });
  grpc::Status fetched;
  std::thread follower([&, &balancer = Balancer()] {
    grpc::ClientContext context;
    Soon(context);
    v1::FetchRevocationsResponse response;
    fetched = v1::Revocation::NewStub(balancer.channel())->Fetch(&context, {}, &response);
  });
  // A neighbour's calls stay.
  grpc::Status neighbour;
  std::thread other([&, &spy = Spy()] {
    std::vector<std::string> messages;
    neighbour = spy.Await(box, 0, &messages, absl::Seconds(30));
  });
  v1::AuditRequest request;
  request.set_tenant(kAcme);
  const auto export_of = [&](Peer& peer, grpc::ClientContext& context) {
    Soon(context);
    auto reader = v1::TenantAdmin::NewStub(peer.channel())->Audit(&context, request);
    reader->WaitForInitialMetadata();
    return reader;
  };
  grpc::ClientContext alices, operators;
  const auto unread = export_of(As(kAcme, Role::kAdmin, "alice"), alices);
  const auto unread_too = export_of(Operator(), operators);

  std::string receipt;
  Peer operator_peer(backend_->port(), TestPki::Shared().Operator());
  ASSERT_TRUE(EraseTenant(operator_peer, kAcme, &receipt).ok());
  // Those that had not begun to wait when it was erased are found by the next look, as in a running backend.
  backend_->Tick();
  waiter.join();
  follower.join();
  EXPECT_EQ(awaited.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(fetched.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(subscription->End().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  v1::PublishResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  for (const auto* reader : {&unread, &unread_too}) {
    v1::AuditChunk chunk;
    while ((*reader)->Read(&chunk)) {
    }
    EXPECT_EQ((*reader)->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  ASSERT_TRUE(As(kGlobex, Role::kDevice, "bulb").Put(box, "x").ok());
  other.join();
  EXPECT_TRUE(neighbour.ok()) << neighbour.error_message();
}

// What it had revoked is not held against a tenant that comes back under the name, nor remembered of it.
TEST_F(ErasedTenantTest, WhatItRevokedIsForgotten) {
  ASSERT_TRUE(PutRevocations(Phone(), Object(7, "name device/bulb")).ok());
  EXPECT_TRUE(backend_->deny_list().Knows(Tenant(kAcme)));
  std::string receipt;
  ASSERT_TRUE(EraseTenant(Operator(), kAcme, &receipt).ok());
  EXPECT_FALSE(backend_->deny_list().Knows(Tenant(kAcme)));
  ASSERT_TRUE(CreateAcme().ok());
  const MailboxName box = RandomSource::System().NewId<MailboxName>();
  EXPECT_TRUE(Bulb().Put(box, "x").ok());
  EXPECT_TRUE(PutRevocations(Phone(), Object(1, "name device/lamp")).ok());
}

TEST_F(ErasedTenantTest, WhatOperatorsDidStaysOnRecordWhenItIsGone) {
  const std::string ops = "operator/ops";
  ASSERT_TRUE(RotateKey(Operator()).ok());
  std::string receipt;
  ASSERT_TRUE(EraseHome(Operator(), home_.id(), &receipt).ok());
  ASSERT_TRUE(EraseHome(Operator(), home_.id(), &receipt).ok());  // the receipt again is nothing new
  ASSERT_TRUE(EraseTenant(Operator(), kAcme, &receipt).ok());
  const std::vector<std::string> log = ProvidersLog();
  EXPECT_THAT(log, Contains(AllOf(HasSubstr(absl::StrCat("key_rotated ", kAcme)), HasSubstr(ops),
                                  HasSubstr("version 2"))));
  EXPECT_THAT(log, Contains(AllOf(HasSubstr(absl::StrCat("instantiation_erased ", kAcme)), HasSubstr(ops),
                                  HasSubstr(home_.id().ToHex())))
                       .Times(1));
  EXPECT_THAT(log, Contains(AllOf(HasSubstr(absl::StrCat("tenant_erased ", kAcme)), HasSubstr(ops))));
}

TEST_F(ErasedTenantTest, ATenantsOwnAdministratorsCannotFillTheProvidersLog) {
  constexpr int kTimes = 60;
  options_.tick = absl::Hours(1);
  Restart();
  Peer& alice = As(kAcme, Role::kAdmin, "alice");
  for (int i = 0; i < kTimes; ++i) {
    ASSERT_TRUE(RotateKey(alice).ok());
    backend_->Tick();                  // each could be an entry of its own
    clock_.Advance(absl::Minutes(1));  // as fast as keys may be exchanged
  }
  std::string receipt;
  ASSERT_TRUE(EraseHome(alice, home_.id(), &receipt).ok());
  ASSERT_TRUE(EraseTenant(Operator(), kAcme, &receipt).ok());
  Restart();  // at the end all that was counted is written
  size_t entries = 0;
  for (const std::string& line : ProvidersLog()) entries += line.starts_with("key_rotated ") ? 1 : 0;
  EXPECT_GT(entries, 0u);
  EXPECT_LE(entries, 18u);
  EXPECT_THAT(ProvidersLog(), Contains(AllOf(HasSubstr("instantiation_erased"), HasSubstr("admin/alice"),
                                             HasSubstr(home_.id().ToHex()))));
}

// The folder still names it, and its file is exchanged: its peers stay nobody's.
TEST_F(ErasedTenantTest, AnExchangedCaFileDoesNotBringItBack) {
  options_.tick = absl::Hours(1);  // only this test's
  Restart();
  const LoggedTo logged;
  backend_->Tick();  // the first look
  std::string receipt;
  ASSERT_TRUE(EraseTenant(Operator(), kAcme, &receipt).ok());
  const std::string file = absl::StrCat(options_.tenants_folder, "/", kAcme, "/ca.pem");
  const std::string pem = ReadAll(file);
  size_t told = 0;
  for (int i = 0; i < 2; ++i) {
    std::filesystem::remove(file);
    WriteAll(file, pem + std::string(static_cast<size_t>(i) + 1, '\n'));
    backend_->Tick();
    EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
    backend_->Tick();
    EXPECT_EQ(logged.Lines("tenant_not_registered"), ++told);
    Restart();
    backend_->Tick();
    EXPECT_EQ(logged.Lines("tenant_not_registered"), ++told) << "and so it is at a start";
  }
  // Created again, the name is served, and an exchange counts.
  ASSERT_TRUE(CreateAcme().ok());
  std::filesystem::remove(file);
  WriteAll(file, ReadAll(absl::StrCat(options_.tenants_folder, "/", kGlobex, "/ca.pem")));
  backend_->Tick();
  EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  std::filesystem::remove(file);
  WriteAll(file, pem);
  backend_->Tick();
  EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ErasedTenantTest, AFolderThatIsNewIsToldOf) {
  options_.tick = absl::Hours(1);
  Restart();
  backend_->Tick();
  const size_t before = backend_->tenants();
  const LoggedTo logged;
  const std::string folder = options_.tenants_folder + "/new.keystead.example";
  std::filesystem::create_directory(folder);
  std::filesystem::copy(absl::StrCat(options_.tenants_folder, "/", kAcme, "/ca.pem"), folder + "/ca.pem");
  for (int i = 0; i < 3; ++i) backend_->Tick();
  EXPECT_EQ(logged.Lines("tenant_waits"), 1u);
  EXPECT_EQ(backend_->tenants(), before);
}

}  // namespace
}  // namespace keystead::testing
