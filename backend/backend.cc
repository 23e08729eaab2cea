#include "backend/backend.h"

#include <thread>
#include <utility>

#include "backend/configured_tenants.h"
#include "backend/parts.h"
#include "backend/policy.h"
#include "core/base/status.h"
#include "core/transport/tls_credentials.h"

namespace keystead::backend {

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
  parts->erasures_executor.Post([p = parts.get()] { p->erasure.Resume(); });
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
