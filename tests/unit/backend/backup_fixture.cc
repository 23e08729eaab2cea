#include "tests/unit/backend/backup_fixture.h"

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/audit/entry.h"
#include "core/cose/sign1.h"
#include "core/storage/log_store.h"

namespace keystead::testing {
namespace {

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

template <class Request>
grpc::Status Receive(std::unique_ptr<grpc::ClientReader<v1::CopyChunk>> (v1::TenantAdmin::Stub::*method)(
                         grpc::ClientContext*, const Request&),
                     Peer& peer, std::string_view tenant, std::string* file) {
  v1::TenantAdmin::Stub stub(peer.channel());
  grpc::ClientContext context;
  SetDeadline(context);
  Request request;
  request.set_tenant(std::string(tenant));
  const auto reader = (stub.*method)(&context, request);
  v1::CopyChunk chunk;
  file->clear();
  while (reader->Read(&chunk)) file->append(chunk.data());
  return reader->Finish();
}

}  // namespace

BackupTest::BackupTest() {
  options_.sign = [this](std::string_view typ, ByteView payload) {
    return cose::SignSign1(signer_, typ, payload, {});
  };
  options_.audit.chain = TestPki::Shared().folder() + "/provider/audit/chain.pem";
  options_.audit.key = TestPki::Shared().folder() + "/provider/audit/key.pem";
  Restart();
  Furnish(home_);
  their_home_.emplace(kGlobex, Uri(kGlobex, Role::kApp, "spy"));
  const std::string founded = their_home_->Make();
  EXPECT_TRUE(Spy().Submit(*their_home_, founded).ok());
  their_home_->Take(founded);
  Publish(0, 3);
}

std::string BackupTest::FromBulb(uint64_t sequence) const {
  return Group(home_, bulb_.entry.member, telemetry_, 1, stream_, sequence,
               absl::StrCat("sealed elsewhere, number ", sequence));
}

void BackupTest::Publish(uint64_t from, uint64_t to) {
  for (uint64_t sequence = from; sequence < to; ++sequence) {
    const PublishResult result = Bulb().Publish(FromBulb(sequence));
    EXPECT_TRUE(result.status.ok() && result.durable == 1) << result.status.error_message();
  }
}

std::vector<std::string> BackupTest::Telemetry() {
  const auto open = Phone().Subscribe(home_, {telemetry_});
  EXPECT_TRUE(open->CaughtUp());
  return open->TakePending();
}

grpc::Status BackupTest::TryBackup(Peer& peer, std::string_view tenant, std::string* file) {
  return Receive<v1::BackupRequest>(&v1::TenantAdmin::Stub::Backup, peer, tenant, file);
}

std::string BackupTest::Backup(std::string_view tenant) {
  std::string file;
  const grpc::Status status = TryBackup(Operator(), tenant, &file);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return file;
}

grpc::Status BackupTest::TryExport(Peer& peer, std::string_view tenant, std::string* file) {
  return Receive<v1::ExportRequest>(&v1::TenantAdmin::Stub::Export, peer, tenant, file);
}

BackupTest::Restored BackupTest::Restore(std::string_view tenant, const std::string& file, size_t piece) {
  v1::TenantAdmin::Stub stub(Operator().channel());
  grpc::ClientContext context;
  SetDeadline(context);
  Restored out;
  const auto writer = stub.Restore(&context, &out.response);
  v1::RestoreRequest request;
  request.set_tenant(std::string(tenant));
  for (size_t at = 0; at < file.size() || at == 0; at += piece) {
    request.set_data(file.substr(at, piece));
    if (!writer->Write(request)) break;
    request.clear_tenant();
  }
  writer->WritesDone();
  out.status = writer->Finish();
  return out;
}

size_t BackupTest::StagedFiles() const {
  size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(options_.store.path))
    count += file.path().filename().string().starts_with("replacement-") ? 1 : 0;
  return count;
}

bool BackupTest::Eventually(const std::function<bool()>& is_so) {
  const absl::Time patience = absl::Now() + absl::Seconds(30);
  while (!is_so()) {
    if (absl::Now() > patience) return false;
    std::this_thread::yield();
  }
  return true;
}

std::string BackupTest::EraseHome(const InstantiationId& id) {
  v1::TenantAdmin::Stub stub(Operator().channel());
  grpc::ClientContext context;
  SetDeadline(context);
  v1::EraseInstantiationRequest request;
  request.set_tenant(kAcme);
  request.set_instantiation(id.ToString());
  v1::EraseResponse response;
  EXPECT_TRUE(stub.EraseInstantiation(&context, request, &response).ok());
  return response.receipt();
}

grpc::Status BackupTest::EraseTenant(std::string_view tenant) {
  v1::TenantAdmin::Stub stub(Operator().channel());
  grpc::ClientContext context;
  SetDeadline(context);
  v1::EraseTenantRequest request;
  request.set_tenant(std::string(tenant));
  v1::EraseResponse response;
  return stub.EraseTenant(&context, request, &response);
}

grpc::Status BackupTest::Create(std::string_view tenant) {
  v1::TenantAdmin::Stub stub(Operator().channel());
  grpc::ClientContext context;
  SetDeadline(context);
  v1::CreateTenantRequest request;
  request.set_tenant(std::string(tenant));
  request.set_ca_pem(ReadAll(TestPki::Shared().tenant_folder(tenant) + "/ca.pem"));
  v1::CreateTenantResponse response;
  return stub.Create(&context, request, &response);
}

std::vector<std::string> BackupTest::AuditActions(std::string_view tenant) {
  v1::TenantAdmin::Stub stub(Operator().channel());
  grpc::ClientContext context;
  SetDeadline(context);
  v1::AuditRequest request;
  request.set_tenant(std::string(tenant));
  const auto reader = stub.Audit(&context, request);
  v1::AuditChunk chunk;
  std::vector<std::string> out;
  Digest before;
  while (reader->Read(&chunk)) {
    for (const std::string& bytes : chunk.entries()) {
      const audit::Entry entry = *audit::ParseEntry(AsBytes(bytes));
      EXPECT_EQ(entry.sequence, out.size());
      EXPECT_EQ(entry.previous, before);
      before = audit::HashEntry(Tenant(tenant), AsBytes(bytes));
      out.push_back(entry.event.action);
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  return out;
}

BackupTest::Raw BackupTest::RawOf(uint32_t number) {
  EXPECT_EQ(backend_, nullptr);
  storage::Options options;
  options.path = options_.store.path;
  options.format_name = "keystead-backend";
  options.format_version = 4;
  options.file_system = options_.store.file_system;
  const auto disk = *storage::LogStore::Open(options);
  const auto snapshot = *disk->SnapshotTenant(number);
  Raw out;
  while (true) {
    const auto page = snapshot->Next(1 << 20);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->empty()) return out;
    out.insert(out.end(), page->begin(), page->end());
  }
}

std::string BackupTest::EverybodyElse(uint32_t number) {
  std::string out;
  for (uint32_t other = 1; other < kTenantNumbers; ++other) {
    if (other == number) continue;
    for (const storage::TenantItem& item : RawOf(other))
      absl::StrAppend(&out, other, std::string(1, copies::KindOf(item)), copies::EncodeItem(item), "\n");
  }
  return out;
}

}  // namespace keystead::testing
