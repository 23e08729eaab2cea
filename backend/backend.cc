#include "backend/backend.h"

#include <atomic>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "backend/admin_service.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/at_rest/file_keystore.h"
#include "backend/at_rest/own_rows.h"
#include "backend/backup/store_id.h"
#include "backend/backup/tenant_copies.h"
#include "backend/enrollment_service.h"
#include "backend/hop.h"
#include "backend/observer.h"
#include "backend/policy.h"
#include "backend/registry_service.h"
#include "backend/rendezvous_service.h"
#include "backend/retention.h"
#include "backend/revocation_service.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/cose/sign1.h"
#include "core/identity/signer.h"
#include "core/identity/tenant_folder.h"
#include "core/observe/log.h"
#include "core/program/deny_file.h"
#include "core/program/files.h"
#include "core/program/program.h"
#include "core/transport/roster_gate.h"
#include "core/transport/server.h"
#include "core/transport/tls_credentials.h"

namespace keystead::backend {
namespace {

constexpr std::string_view kFormatName = "keystead-backend";
constexpr uint32_t kFormatVersion = 4;  // 3: what tenants store is encrypted. 4: the own rows too
constexpr std::string_view kKeystoreSuffix = ".keys";
constexpr size_t kMaxCaFileBytes = 1 << 20;
constexpr int kErasures = 4;  // at a time, of as many tenants

absl::Status Prefixed(std::string_view what, const absl::Status& status) {
  return {status.code(), absl::StrCat(Absl(what), ": ", status.message())};
}

struct NamedCa {
  TenantName name;
  std::string file;
  std::string pem;
};

absl::StatusOr<NamedCa> ReadNamedCa(const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos) return absl::InvalidArgumentError(absl::StrCat("not NAME=CA.pem: ", pair));
  NamedCa out;
  KS_ASSIGN_OR_RETURN(out.name, TenantName::Parse(std::string_view(pair).substr(0, equals)));
  out.file = pair.substr(equals + 1);
  KS_ASSIGN_OR_RETURN(out.pem, ReadFile(out.file, kMaxCaFileBytes));
  return out;
}

absl::Status RegisterTenants(const BackendOptions& options, TenantDirectory& directory) {
  if (!options.provider.empty()) {  // first: then no tenant takes its name
    KS_ASSIGN_OR_RETURN(const NamedCa ca, ReadNamedCa(options.provider));
    if (absl::Status status = directory.RegisterProvider(ca.name, ca.pem); !status.ok())
      return Prefixed(ca.file, status);
  }
  if (!options.tenants_folder.empty()) KS_RETURN_IF_ERROR(directory.LoadFolder(options.tenants_folder));
  for (const std::string& pair : options.tenants) {
    KS_ASSIGN_OR_RETURN(const NamedCa ca, ReadNamedCa(pair));
    if (absl::Status status = directory.Register(ca.name, ca.pem); !status.ok())
      return Prefixed(ca.file, status);
  }
  if (directory.Tenants().empty() && options.provider.empty())
    return absl::InvalidArgumentError(
        "there is no tenant: give --tenants FOLDER or --tenant NAME=CA.pem, or --provider NAME=CA.pem so "
        "that "
        "an operator can create one");
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
template <class Options>
Options WithClock(Options options, const BackendOptions& all) {
  options.clock = all.clock;
  return options;
}
// Each with the mark before it, as many as an entry of the audit log has room for.
std::string Listed(std::string_view mark, const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    if (out.size() + line.size() > audit::kMaxDetailBytes) break;
    absl::StrAppend(&out, Absl(mark), line);
  }
  return out;
}
RecordLog::Options LogOptionsOf(const BackendOptions& all) {
  RecordLog::Options options;
  options.clock = all.clock;
  return options;
}

// A key that is given has to be good; one that is not given is missed when somebody asks for an export.
absl::StatusOr<std::unique_ptr<AuditLog>> OpenAudit(const BackendOptions& options, storage::LogStore* store) {
  AuditLog::Options audit = options.audit;
  audit.clock = options.clock;
  if (!options.provider.empty()) {
    KS_ASSIGN_OR_RETURN(audit.provider,
                        TenantName::Parse(options.provider.substr(0, options.provider.find('='))));
  }
  auto log = std::make_unique<AuditLog>(store, audit);
  if (!audit.chain.empty() || !audit.key.empty()) KS_RETURN_IF_ERROR(log->Signer().status());
  return log;
}

}  // namespace

// What is stored, and what it is encrypted with. Calls nothing else.
struct Vault {
  static absl::StatusOr<std::unique_ptr<Vault>> Open(const BackendOptions& options) {
    auto vault = std::make_unique<Vault>();
    const std::string folder =
        options.keystore.empty() ? options.store.path + std::string(kKeystoreSuffix) : options.keystore;
    KS_ASSIGN_OR_RETURN(vault->keys, OpenKeys(options, folder));
    vault->ciphers = std::make_unique<at_rest::Ciphers>(vault->keys.get());
    storage::Options store_options = options.store;
    store_options.format_name = std::string(kFormatName);
    store_options.format_version = kFormatVersion;
    KS_ASSIGN_OR_RETURN(vault->disk, storage::LogStore::Open(store_options));
    vault->encrypted = std::make_unique<at_rest::EncryptedStore>(vault->disk.get(), vault->ciphers.get());
    // The unprotected control of searches has nothing encrypted on the disk either.
    vault->store = MutantActive(Mutant::kNoSealing) ? vault->disk.get()
                                                    : static_cast<storage::LogStore*>(vault->encrypted.get());
    if (vault->store == vault->encrypted.get())
      KS_RETURN_IF_ERROR(at_rest::PairWithKeystore(*vault->encrypted, *vault->disk, *vault->keys));
    return vault;
  }

  static absl::StatusOr<std::unique_ptr<at_rest::KeyStore>> OpenKeys(const BackendOptions& options,
                                                                     const std::string& folder) {
    if (options.pkcs11.module.empty()) {
      KS_ASSIGN_OR_RETURN(auto files, at_rest::FileKeyStore::Open(folder));
      return files;
    }
    at_rest::Pkcs11Options pkcs11 = options.pkcs11;
    pkcs11.salt_folder = folder;
    KS_ASSIGN_OR_RETURN(auto token, at_rest::Pkcs11KeyStore::Open(pkcs11));
    return token;
  }

  std::unique_ptr<at_rest::KeyStore> keys;
  std::unique_ptr<at_rest::Ciphers> ciphers;
  std::unique_ptr<at_rest::EncryptedStore> encrypted;
  storage::LogStore* store = nullptr;       // what everybody uses
  std::unique_ptr<storage::LogStore> disk;  // goes first, and finishes its tasks: they encrypt
};

// With the provider's audit key, unless a test has its own.
std::function<absl::StatusOr<Bytes>(std::string_view, ByteView)> ReceiptSigner(const BackendOptions& options,
                                                                               const AuditLog* audit) {
  if (options.sign || options.audit.chain.empty()) return options.sign;
  return [audit](std::string_view typ, ByteView payload) -> absl::StatusOr<Bytes> {
    KS_ASSIGN_OR_RETURN(const SigningIdentity signer, audit->Signer());
    return cose::SignSign1(signer.key, typ, payload, {});
  };
}

// In the order in which they depend on each other; destroyed the other way round, after Stop.
struct Backend::Parts {
  Parts(const BackendOptions& options, std::unique_ptr<TenantDirectory> tenant_keys,
        std::unique_ptr<Vault> opened, std::unique_ptr<AuditLog> audit_log, std::unique_ptr<Tenants> numbered,
        const copies::StoreId& store_id)
      : grace(options.grace),
        retention_interval(options.retention_interval),
        clock(options.clock),
        directory(std::move(tenant_keys)),
        tenant_folder(options.tenants_folder, directory.get(), NamedAlone(options),
                      [this](const TenantName& name) { return tenants->Known(name).has_value(); }),
        deny_file(options.deny_list, std::nullopt, &deny_list),
        resolver(std::make_shared<PrincipalResolver>(directory.get(), &deny_list)),
        vault(std::move(opened)),
        store(vault->store),
        audit(std::move(audit_log)),
        tenants(std::move(numbered)),
        notes(audit.get(), tenants.get(), WithClock(options.notes, options)),
        events([this](const SecurityEvent& event) { notes.Observe(event); }),
        queue(store, options.queue),
        executor(options.threads),
        log(store, LogOptionsOf(options)),
        instantiations(store, &executor, WithClock(options.instantiations, options)),
        hop(resolver.get(), tenants.get(), &instantiations, store, &queue),
        transport(&hop, &log, &executor, options.transport),
        intake({store, &log, &executor, &instantiations, &hop, &queue, vault->ciphers.get(), audit.get()},
               WithClock(options.intake, options)),
        mailboxes(WithClock(options.mailboxes, options)),
        registry_service(resolver.get(), tenants.get(), &intake),
        rendezvous_service(resolver.get(), tenants.get(), &mailboxes),
        audit_export({resolver.get(), audit.get(), &notes, &executor}),
        admin_executor(1),
        erasures_executor(kErasures),
        housekeeping_executor(1),
        erasure({.tenants = tenants.get(),
                 .store = store,
                 .ciphers = vault->ciphers.get(),
                 .log = &log,
                 .instantiations = &instantiations,
                 .end_calls = [this](const TenantName& tenant,
                                     const InstantiationId* id) { EndCallsOf(tenant, id); },
                 .forget = [this](const TenantName& name, uint32_t number) { ForgetTenant(name, number); },
                 .audit = audit.get(),
                 .sign = ReceiptSigner(options, audit.get()),
                 .clock = options.clock}),
        retention({.tenants = tenants.get(), .store = store, .log = &log, .clock = options.clock}),
        copies_executor(1),
        copies(CopiesOf(options, store_id)),
        admin_service({resolver.get(), tenants.get(), &queue, store, vault->ciphers.get(), &erasure,
                       &admin_executor, &erasures_executor, &audit_export, audit.get(), &copies, &notes}),
        revocations({directory.get(), &deny_list, [this] { OnRevocations(); }}),
        revocation_service({resolver.get(), tenants.get(), &revocations, store, &executor}, clock) {
    hop.Attach(&transport);
  }

  absl::Status OpenEnrollment(const Enrollment::Options& options) {
    KS_ASSIGN_OR_RETURN(enrollment, Enrollment::Open(options, resolver.get()));
    enrollment_service.emplace(
        EnrollmentService::Parts{resolver.get(), tenants.get(), &queue, audit.get(), &executor},
        enrollment.get());
    return absl::OkStatus();
  }

  void EndCallsOf(const TenantName& tenant, const InstantiationId* id) {
    transport.EndCalls(
        [&](const OpenCall& call) {
          if (id == nullptr) return call.principal.tenant() == tenant;
          return call.demand != nullptr && call.demand->tenant == tenant && call.demand->instantiation == *id;
        },
        id == nullptr ? absl::UnauthenticatedError("the tenant was erased") : NoSuchInstantiation());
    if (id != nullptr) return;
    audit_export.EndOf(tenant);
    OnRevocations();  // whoever waits for a message or for news is no longer of any tenant
  }

  void ForgetTenant(const TenantName& name, uint32_t number) {
    revocations.Forget(name);
    mailboxes.Forget(number);
    notes.Forget(number);
    queue.Forget(number);
  }

  TenantCopies::Parts CopiesOf(const BackendOptions& options, const copies::StoreId& store_id) {
    const std::string provider = options.provider.substr(0, options.provider.find('='));
    return {.resolver = resolver.get(),
            .executor = &copies_executor,
            .provider = provider,
            .restoration = {.tenants = tenants.get(),
                            .store = store,
                            .disk = vault->disk.get(),
                            .ciphers = vault->ciphers.get(),
                            .audit = audit.get(),
                            .store_id = store_id,
                            .forget = [this](const TenantView& tenant) { ForgetAll(tenant); },
                            .revoke = [this](std::string_view object) { return Revoke(object); }},
            .clock = options.clock};
  }

  // THREAD: the store's writer. What the tenant has was exchanged.
  void ForgetAll(const TenantView& tenant) {
    log.Forget(tenant.number());
    instantiations.ForgetTenant(tenant.number());
    if (const absl::Status status = tenant.account().Load(*store); !status.ok())
      Log(LogLevel::kError, "usage_unknown",
          {{"tenant", tenant.name().str()}, {"reason", Std(status.message())}});
    transport.EndCalls([&](const OpenCall& call) { return call.principal.tenant() == tenant.name(); },
                       absl::UnavailableError("the tenant was restored from a backup: come again"));
  }

  absl::Status Revoke(std::string_view object) {
    KS_RETURN_IF_ERROR(revocations.Restore(AsBytes(object)));
    OnRevocations();
    return absl::OkStatus();
  }

  // It waits for the writer, and nothing waits for it.
  void TrimSometimes() {
    if (clock->Uptime() - trimmed_at < retention_interval || trimming.exchange(true)) return;
    trimmed_at = clock->Uptime();
    housekeeping_executor.Post([this] {
      retention.Run();
      trimming = false;
    });
  }

  void Tick() {
    hop.EndExpired(clock->Now());
    mailboxes.DropExpired();
    TrimSometimes();
    notes.Flush(/*all=*/false);
    const absl::StatusOr<bool> denied = deny_file.Refresh();
    if (!denied.ok())
      Log(LogLevel::kError, "deny_list_unreadable", {{"reason", Std(denied.status().message())}});
    if (denied.ok() && *denied) RecordDenied();
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
    for (const TenantFolder::Ignored& ignored : tenant_folder.TakeIgnored()) {
      Log(LogLevel::kWarning, ignored.is_new ? "tenant_waits" : "tenant_not_registered",
          {{"tenant", ignored.tenant.str()},
           {"reason", ignored.is_new
                          ? "it is new below --tenants: it is served from the next start on"
                          : "it is not served: it was erased, or was not there or not usable at the start"}});
    }
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

  void RecordDenied() {
    for (const DenyFile::Change& change : deny_file.TakeChanges()) {
      const std::optional<TenantView> tenant = tenants->Known(change.tenant);
      if (!tenant.has_value()) continue;
      const auto detail = absl::StrCat("added ", change.added.size(), ", removed ", change.removed.size(),
                                       ":", Listed(" +", change.added), Listed(" -", change.removed));
      audit->Record(AuditBook(*tenant), {"", "deny_list_changed", change.tenant.str(), detail});
    }
  }

  const absl::Duration grace;
  const absl::Duration retention_interval;
  const Clock* const clock;
  const std::unique_ptr<TenantDirectory> directory;
  TenantFolder tenant_folder;
  DenyList deny_list;
  DenyFile deny_file;
  const std::shared_ptr<PrincipalResolver> resolver;
  const std::unique_ptr<Vault> vault;
  storage::LogStore* const store;
  const std::unique_ptr<AuditLog> audit;
  const std::unique_ptr<Tenants> tenants;
  AuditNotes notes;
  const SecurityEventTap events;
  FairQueue queue;
  Executor executor;
  RecordLog log;
  Instantiations instantiations;
  BackendHop hop;
  TransportService transport;
  CommitIntake intake;
  Mailboxes mailboxes;
  RegistryService registry_service;
  RendezvousService rendezvous_service;
  AuditExport audit_export;
  // What one tenant's administrator asks for, and what the housekeeper does to one tenant, may take long; no
  // other's administration waits for it.
  Executor admin_executor;
  Executor erasures_executor;
  Executor housekeeping_executor;
  Erasure erasure;
  Retention retention;
  Executor copies_executor;
  TenantCopies copies;
  std::atomic<bool> trimming = false;
  absl::Duration trimmed_at = -absl::InfiniteDuration();  // housekeeper's
  AdminService admin_service;
  RevocationKeeper revocations;
  RevocationService revocation_service;
  std::unique_ptr<Enrollment> enrollment;
  std::optional<EnrollmentService> enrollment_service;
  std::optional<BackendObserver> observer;
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
  KS_ASSIGN_OR_RETURN(auto vault, Vault::Open(options));
  KS_ASSIGN_OR_RETURN(auto audit, OpenAudit(options, vault->store));
  KS_ASSIGN_OR_RETURN(auto tenants, Tenants::Open(*vault->store, *directory,
                                                  {.defaults = options.default_limits,
                                                   .keys = vault->keys.get(),
                                                   .audit = audit.get(),
                                                   .clock = options.clock}));

  KS_ASSIGN_OR_RETURN(const copies::StoreId store_id, OpenStoreId(*vault->store));
  auto parts = std::make_unique<Parts>(options, std::move(directory), std::move(vault), std::move(audit),
                                       std::move(tenants), store_id);
  parts->copies.FinishInterrupted();
  KS_RETURN_IF_ERROR(parts->deny_file.Refresh().status());
  KS_RETURN_IF_ERROR(parts->revocation_service.Restore());
  parts->RecordDenied();
  Enrollment::Options enrollment = options.enrollment;
  enrollment.clock = options.clock;
  KS_RETURN_IF_ERROR(parts->OpenEnrollment(enrollment));
  ServerOptions server;
  server.listen_address = options.listen;
  server.credentials = *std::move(credentials);
  server.resolver = parts->resolver;
  server.policy = MakePolicy();
  server.services = {parts->transport.service(),  &parts->registry_service,   &parts->rendezvous_service,
                     &*parts->enrollment_service, &parts->revocation_service, &parts->admin_service};
  if (options.observer) {
    parts->observer.emplace(BackendObserver::Parts{.resolver = parts->resolver.get(),
                                                   .tenants = parts->tenants.get(),
                                                   .log = &parts->log,
                                                   .disk = parts->vault->disk.get(),
                                                   .clock = options.clock});
    server.services.push_back(parts->observer->service());
  }
  server.handshakes = options.handshakes;
  server.max_concurrent_streams = options.max_streams;
  server.memory_quota_bytes = options.memory_quota_bytes;
  KS_ASSIGN_OR_RETURN(RunningServer running, StartServer(server));
  parts->server.emplace(std::move(running));
  parts->server->SetServing(true);
  parts->housekeeper = std::thread([p = parts.get(), tick = options.tick] {
    while (!p->stopping.WaitForNotificationWithTimeout(tick)) p->Tick();
  });
  parts->admin_executor.Post([p = parts.get()] { p->erasure.Resume(); });
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
  if (parts_->observer.has_value()) parts_->observer->Drain();
  parts_->copies_executor.Drain();
  parts_->admin_executor.Drain();
  parts_->erasures_executor.Drain();
  parts_->housekeeping_executor.Drain();
  parts_->executor.Drain();
  parts_->queue.Drain();
  parts_->notes.Flush(/*all=*/true);
  static_cast<void>(parts_->store->Commit([](storage::Transaction&) { return absl::OkStatus(); }));
  parts_->executor.Drain();
}

Backend::Stats Backend::GetStats() const {
  return {parts_->transport.GetStats(), parts_->log.GetStats(), parts_->store->GetStats()};
}

}  // namespace keystead::backend
