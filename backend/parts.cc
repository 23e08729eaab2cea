#include "backend/parts.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backend/configured_tenants.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/cose/sign1.h"
#include "core/identity/signer.h"
#include "core/observe/log.h"
#include "core/transport/roster_gate.h"

namespace keystead::backend {
namespace {

constexpr int kErasures = 4;  // at a time, of as many tenants

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

// With the provider's audit key, unless a test has its own.
std::function<absl::StatusOr<Bytes>(std::string_view, ByteView)> ReceiptSigner(const BackendOptions& options,
                                                                               const AuditLog* audit) {
  if (options.sign || options.audit.chain.empty()) return options.sign;
  return [audit](std::string_view typ, ByteView payload) -> absl::StatusOr<Bytes> {
    KS_ASSIGN_OR_RETURN(const SigningIdentity signer, audit->Signer());
    return cose::SignSign1(signer.key, typ, payload, {});
  };
}

}  // namespace

Backend::Parts::Parts(const BackendOptions& options, std::unique_ptr<TenantDirectory> tenant_keys,
                      std::unique_ptr<Vault> opened, std::unique_ptr<AuditLog> audit_log,
                      std::unique_ptr<Tenants> numbered, const copies::StoreId& store_id)
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
      admin_executor(1, Executor::Time::kElapsed),
      erasures_executor(kErasures, Executor::Time::kElapsed),
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
      copies_executor(1, Executor::Time::kElapsed),
      copies(CopiesOf(options, store_id)),
      admin_service({resolver.get(), tenants.get(), &queue, store, vault->ciphers.get(), &erasure,
                     &admin_executor, &erasures_executor, &audit_export, audit.get(), &copies, &notes}),
      revocations({directory.get(), &deny_list, [this] { OnRevocations(); }}),
      revocation_service({resolver.get(), tenants.get(), &revocations, store, &executor}, clock),
      tenant_metrics(options.tenants_with_metrics, [this](const TenantMetrics::Visit& visit) {
        tenants->ForEach([&](const TenantView& tenant) {
          visit({tenant.name().str(), tenant.number(), tenant.account().Usage(), queue.UsageOf(tenant)});
        });
      }) {
  hop.Attach(&transport);
}

absl::Status Backend::Parts::OpenEnrollment(const Enrollment::Options& options) {
  KS_ASSIGN_OR_RETURN(enrollment, Enrollment::Open(options, resolver.get()));
  enrollment_service.emplace(
      EnrollmentService::Parts{resolver.get(), tenants.get(), &queue, audit.get(), &executor},
      enrollment.get());
  return absl::OkStatus();
}

void Backend::Parts::EndCallsOf(const TenantName& tenant, const InstantiationId* id) {
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

void Backend::Parts::ForgetTenant(const TenantName& name, uint32_t number) {
  revocations.Forget(name);
  mailboxes.Forget(number);
  notes.Forget(number);
  queue.Forget(number);
}

TenantCopies::Parts Backend::Parts::CopiesOf(const BackendOptions& options, const copies::StoreId& store_id) {
  return {.resolver = resolver.get(),
          .executor = &copies_executor,
          .provider = ProviderName(options),
          .restoration = {.tenants = tenants.get(),
                          .store = store,
                          .disk = vault->disk.get(),
                          .ciphers = vault->ciphers.get(),
                          .audit = audit.get(),
                          .store_id = store_id,
                          .forget = [this](const TenantView& tenant) { ForgetAll(tenant); },
                          .revoke = [this](std::string_view object) { return Revoke(object); }},
          .notes = &notes,
          .clock = options.clock};
}

void Backend::Parts::ForgetAll(const TenantView& tenant) {
  log.Forget(tenant.number());
  instantiations.ForgetTenant(tenant.number());
  if (const absl::Status status = tenant.account().Load(*store); !status.ok())
    Log(LogLevel::kError, "usage_unknown",
        {{"tenant", tenant.name().str()}, {"reason", Std(status.message())}});
  transport.EndCalls([&](const OpenCall& call) { return call.principal.tenant() == tenant.name(); },
                     absl::UnavailableError("the tenant was restored from a backup: come again"));
}

absl::Status Backend::Parts::Revoke(std::string_view object) {
  KS_RETURN_IF_ERROR(revocations.Restore(AsBytes(object)));
  OnRevocations();
  return absl::OkStatus();
}

void Backend::Parts::TrimSometimes() {
  if (clock->Uptime() - trimmed_at < retention_interval || trimming.exchange(true)) return;
  trimmed_at = clock->Uptime();
  housekeeping_executor.Post([this] {
    retention.Run();
    trimming = false;
  });
}

void Backend::Parts::Tick() {
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

bool Backend::Parts::TenantsChanged() {
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

void Backend::Parts::OnRevocations() {
  EndRefused();
  look_again = true;
}

void Backend::Parts::EndRefused() {
  const auto refused = [this](const Principal& peer) { return !resolver->CheckStillValid(peer).ok(); };
  transport.EndCalls([&](const OpenCall& call) { return refused(call.principal); },
                     absl::UnauthenticatedError("the certificate counts no longer"));
  mailboxes.EndWaiting(refused);
  revocations.EndWaiting(refused);
}

void Backend::Parts::RecordDenied() {
  for (const DenyFile::Change& change : deny_file.TakeChanges()) {
    const std::optional<TenantView> tenant = tenants->Known(change.tenant);
    if (!tenant.has_value()) continue;
    const auto detail = absl::StrCat("added ", change.added.size(), ", removed ", change.removed.size(), ":",
                                     Listed(" +", change.added), Listed(" -", change.removed));
    audit->Record(AuditBook(*tenant), {"", "deny_list_changed", change.tenant.str(), detail});
  }
}

absl::StatusOr<std::unique_ptr<AuditLog>> OpenAudit(const BackendOptions& options, storage::LogStore* store) {
  AuditLog::Options audit = options.audit;
  audit.clock = options.clock;
  if (!options.provider.empty()) {
    KS_ASSIGN_OR_RETURN(audit.provider, TenantName::Parse(ProviderName(options)));
  }
  auto log = std::make_unique<AuditLog>(store, audit);
  if (!audit.chain.empty() || !audit.key.empty()) KS_RETURN_IF_ERROR(log->Signer().status());
  return log;
}

}  // namespace keystead::backend
