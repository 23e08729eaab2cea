// The parts of a running backend, in the order in which they depend on each other, and what one has to do
// when something happens to another.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include "absl/synchronization/notification.h"
#include "backend/admin_service.h"
#include "backend/backend.h"
#include "backend/backup/store_id.h"
#include "backend/backup/tenant_copies.h"
#include "backend/enrollment_service.h"
#include "backend/erasure.h"
#include "backend/hop.h"
#include "backend/observer.h"
#include "backend/registry_service.h"
#include "backend/rendezvous_service.h"
#include "backend/retention.h"
#include "backend/revocation_service.h"
#include "backend/tenant_metrics.h"
#include "backend/vault.h"
#include "core/identity/tenant_folder.h"
#include "core/program/deny_file.h"
#include "core/transport/server.h"

namespace keystead::backend {

// Destroyed the other way round, after Stop.
struct Backend::Parts {
  Parts(const BackendOptions& options, std::unique_ptr<TenantDirectory> tenant_keys,
        std::unique_ptr<Vault> opened, std::unique_ptr<AuditLog> audit_log, std::unique_ptr<Tenants> numbered,
        const copies::StoreId& store_id);
  absl::Status OpenEnrollment(const Enrollment::Options& options);
  void EndCallsOf(const TenantName& tenant, const InstantiationId* id);
  void ForgetTenant(const TenantName& name, uint32_t number);
  TenantCopies::Parts CopiesOf(const BackendOptions& options, const copies::StoreId& store_id);
  // THREAD: the store's writer. What the tenant has was exchanged.
  void ForgetAll(const TenantView& tenant);
  absl::Status Revoke(std::string_view object);
  // It waits for the writer, and nothing waits for it.
  void TrimSometimes();
  void Tick();
  bool TenantsChanged();
  void OnRevocations();
  // Whose certificate counts no longer has no open call any more.
  void EndRefused();
  void RecordDenied();

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
  TenantMetrics tenant_metrics;
  std::unique_ptr<Enrollment> enrollment;
  std::optional<EnrollmentService> enrollment_service;
  std::optional<BackendObserver> observer;
  std::optional<RunningServer> server;
  std::atomic<bool> look_again = false;
  absl::Notification stopping;
  std::thread housekeeper;
};

// A key that is given has to be good; one that is not given is missed when somebody asks for an export.
absl::StatusOr<std::unique_ptr<AuditLog>> OpenAudit(const BackendOptions& options, storage::LogStore* store);

}  // namespace keystead::backend
