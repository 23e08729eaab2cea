#include "backend/backend.h"

#include <atomic>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "backend/enrollment_service.h"
#include "backend/hop.h"
#include "backend/policy.h"
#include "backend/registry_service.h"
#include "backend/rendezvous_service.h"
#include "backend/revocation_service.h"
#include "core/base/status.h"
#include "core/identity/tenant_folder.h"
#include "core/observe/log.h"
#include "core/program/deny_file.h"
#include "core/program/files.h"
#include "core/program/program.h"
#include "core/transport/server.h"
#include "core/transport/tls_credentials.h"

namespace keystead::backend {
namespace {

constexpr std::string_view kFormatName = "keystead-backend";
constexpr uint32_t kFormatVersion = 2;  // 2: rows of late records hold their digest
constexpr size_t kMaxCaFileBytes = 1 << 20;

absl::Status Prefixed(std::string_view what, const absl::Status& status) {
  return {status.code(), absl::StrCat(Absl(what), ": ", status.message())};
}

absl::Status RegisterTenants(const BackendOptions& options, TenantDirectory& directory) {
  if (!options.tenants_folder.empty()) KS_RETURN_IF_ERROR(directory.LoadFolder(options.tenants_folder));
  for (const std::string& pair : options.tenants) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos)
      return absl::InvalidArgumentError(absl::StrCat("not NAME=CA.pem: ", pair));
    KS_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(std::string_view(pair).substr(0, equals)));
    const std::string file = pair.substr(equals + 1);
    KS_ASSIGN_OR_RETURN(const std::string pem, ReadFile(file, kMaxCaFileBytes));
    if (absl::Status status = directory.Register(name, pem); !status.ok()) return Prefixed(file, status);
  }
  if (directory.Tenants().empty())
    return absl::InvalidArgumentError("there is no tenant: give --tenants FOLDER or --tenant NAME=CA.pem");
  return absl::OkStatus();
}

// The tenants of --tenant, which outdoes the folder.
std::set<TenantName> NamedAlone(const BackendOptions& options) {
  std::set<TenantName> out;
  for (const std::string& pair : options.tenants) {
    const auto name = TenantName::Parse(std::string_view(pair).substr(0, pair.find('=')));
    if (name.ok()) out.insert(*name);
  }
  return out;
}

Instantiations::Options WithClock(Instantiations::Options options, const BackendOptions& all) {
  options.gate.clock = all.clock;
  options.gate.drain = all.drain;
  return options;
}
CommitIntake::Options WithClock(CommitIntake::Options options, const BackendOptions& all) {
  options.clock = all.clock;
  return options;
}
Mailboxes::Options WithClock(Mailboxes::Options options, const BackendOptions& all) {
  options.clock = all.clock;
  return options;
}
RecordLog::Options LogOptionsOf(const BackendOptions& all) {
  RecordLog::Options options;
  options.clock = all.clock;
  return options;
}

}  // namespace

// In the order in which they depend on each other; destroyed the other way round, after Stop.
struct Backend::Parts {
  Parts(const BackendOptions& options, std::unique_ptr<TenantDirectory> tenant_keys,
        std::unique_ptr<storage::LogStore> opened, std::unique_ptr<Tenants> numbered)
      : grace(options.grace),
        clock(options.clock),
        directory(std::move(tenant_keys)),
        tenant_folder(options.tenants_folder, directory.get(), NamedAlone(options)),
        deny_file(options.deny_list, std::nullopt, &deny_list),
        resolver(std::make_shared<PrincipalResolver>(directory.get(), &deny_list)),
        store(std::move(opened)),
        tenants(std::move(numbered)),
        executor(options.threads),
        log(store.get(), LogOptionsOf(options)),
        instantiations(store.get(), &executor, WithClock(options.instantiations, options)),
        hop(resolver.get(), tenants.get(), &instantiations, store.get()),
        transport(&hop, &log, &executor, options.transport),
        intake({store.get(), &log, &executor, &instantiations, &hop}, WithClock(options.intake, options)),
        mailboxes(WithClock(options.mailboxes, options)),
        registry_service(resolver.get(), tenants.get(), &intake),
        rendezvous_service(resolver.get(), tenants.get(), &mailboxes),
        revocations({directory.get(), &deny_list, [this] { OnRevocations(); }}),
        revocation_service({resolver.get(), tenants.get(), &revocations, store.get(), &executor}, clock) {
    hop.Attach(&transport);
  }

  absl::Status OpenEnrollment(const Enrollment::Options& options) {
    KS_ASSIGN_OR_RETURN(enrollment, Enrollment::Open(options, resolver.get()));
    enrollment_service.emplace(resolver.get(), enrollment.get(), &executor);
    return absl::OkStatus();
  }

  void Tick() {
    hop.EndExpired(clock->Now());
    mailboxes.DropExpired();
    const absl::StatusOr<bool> denied = deny_file.Refresh();
    if (!denied.ok())
      Log(LogLevel::kError, "deny_list_unreadable", {{"reason", Std(denied.status().message())}});
    const bool tenants_changed = TenantsChanged();
    // Once more for calls that were let in just before a change and had not begun when the others were ended.
    if ((denied.ok() && *denied) || look_again.exchange(false) || tenants_changed) EndRefused();
  }

  bool TenantsChanged() {
    const absl::Status keys = enrollment->Refresh();
    if (!keys.ok()) Log(LogLevel::kError, "enrollment_key_unusable", {{"reason", Std(keys.message())}});
    const absl::StatusOr<bool> changed = tenant_folder.Refresh();
    if (!changed.ok())
      Log(LogLevel::kError, "tenants_unreadable", {{"reason", Std(changed.status().message())}});
    return changed.ok() ? *changed : !absl::IsNotFound(changed.status());
  }

  void OnRevocations() {
    EndRefused();
    look_again = true;
  }

  // Whose certificate counts no longer has no open call any more.
  void EndRefused() {
    const auto refused = [this](const Principal& peer) { return !resolver->CheckStillValid(peer).ok(); };
    transport.EndCalls([&](const OpenCall& call) { return refused(call.principal); },
                       absl::UnauthenticatedError("the certificate counts no longer"));
    mailboxes.EndWaiting(refused);
    revocations.EndWaiting(refused);
  }

  const absl::Duration grace;
  const Clock* const clock;
  const std::unique_ptr<TenantDirectory> directory;
  TenantFolder tenant_folder;
  DenyList deny_list;
  DenyFile deny_file;
  const std::shared_ptr<PrincipalResolver> resolver;
  const std::unique_ptr<storage::LogStore> store;
  const std::unique_ptr<Tenants> tenants;
  Executor executor;
  RecordLog log;
  Instantiations instantiations;
  BackendHop hop;
  TransportService transport;
  CommitIntake intake;
  Mailboxes mailboxes;
  RegistryService registry_service;
  RendezvousService rendezvous_service;
  RevocationKeeper revocations;
  RevocationService revocation_service;
  std::unique_ptr<Enrollment> enrollment;
  std::optional<EnrollmentService> enrollment_service;
  std::optional<RunningServer> server;
  std::atomic<bool> look_again = false;
  absl::Notification stopping;
  std::thread housekeeper;
};

Backend::Backend(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Backend::~Backend() { Stop(); }

absl::StatusOr<std::unique_ptr<Backend>> Backend::Start(const BackendOptions& options) {
  auto credentials = MakeServerCredentials({.files = options.tls});
  if (!credentials.ok()) return credentials.status();
  auto directory = std::make_unique<TenantDirectory>();
  KS_RETURN_IF_ERROR(RegisterTenants(options, *directory));
  storage::Options store_options = options.store;
  store_options.format_name = std::string(kFormatName);
  store_options.format_version = kFormatVersion;
  KS_ASSIGN_OR_RETURN(auto store, storage::LogStore::Open(store_options));
  KS_ASSIGN_OR_RETURN(auto tenants, Tenants::Open(*store, *directory));

  auto parts = std::make_unique<Parts>(options, std::move(directory), std::move(store), std::move(tenants));
  KS_RETURN_IF_ERROR(parts->deny_file.Refresh().status());
  KS_RETURN_IF_ERROR(parts->revocation_service.Restore());
  Enrollment::Options enrollment = options.enrollment;
  enrollment.clock = options.clock;
  KS_RETURN_IF_ERROR(parts->OpenEnrollment(enrollment));
  ServerOptions server;
  server.listen_address = options.listen;
  server.credentials = *std::move(credentials);
  server.resolver = parts->resolver;
  server.policy = MakePolicy();
  server.services = {parts->transport.service(), &parts->registry_service, &parts->rendezvous_service,
                     &*parts->enrollment_service, &parts->revocation_service};
  server.max_concurrent_streams = options.max_streams;
  server.memory_quota_bytes = options.memory_quota_bytes;
  KS_ASSIGN_OR_RETURN(RunningServer running, StartServer(server));
  parts->server.emplace(std::move(running));
  parts->server->SetServing(true);
  parts->housekeeper = std::thread([p = parts.get(), tick = options.tick] {
    while (!p->stopping.WaitForNotificationWithTimeout(tick)) p->Tick();
  });
  return std::unique_ptr<Backend>(new Backend(std::move(parts)));
}

int Backend::port() const { return parts_->server.has_value() ? parts_->server->port() : 0; }
size_t Backend::tenants() const { return parts_->tenants->size(); }
void Backend::Tick() { parts_->Tick(); }
DenyList& Backend::deny_list() { return parts_->deny_list; }

void Backend::Stop() {
  if (parts_->stopping.HasBeenNotified()) return;
  parts_->stopping.Notify();
  parts_->housekeeper.join();
  parts_->transport.Stop();
  parts_->mailboxes.Stop();
  parts_->revocations.Stop();
  parts_->server->Shutdown(parts_->grace);
  // No call is open any more. What they left with the executor and the writer still uses all the parts: first
  // jobs that submit, then what was submitted, then jobs that this posted.
  parts_->executor.Drain();
  static_cast<void>(parts_->store->Commit([](storage::Transaction&) { return absl::OkStatus(); }));
  parts_->executor.Drain();
}

Backend::Stats Backend::GetStats() const {
  return {parts_->transport.GetStats(), parts_->log.GetStats(), parts_->store->GetStats()};
}

}  // namespace keystead::backend
