// The multi-tenant backend in one object: a blind durable log and a small control plane behind one port.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backend/at_rest/pkcs11_keystore.h"
#include "backend/audit_log.h"
#include "backend/audit_notes.h"
#include "backend/commit_intake.h"
#include "backend/enrollment.h"
#include "backend/fair_queue.h"
#include "backend/instantiations.h"
#include "backend/mailboxes.h"
#include "backend/tenant_metrics.h"
#include "core/identity/certificate_files.h"
#include "core/storage/log_store.h"
#include "core/transport/handshake_governor.h"
#include "core/transport/record_log.h"
#include "core/transport/transport_service.h"

namespace keystead::backend {

struct BackendOptions {
  std::string listen = "127.0.0.1:7443";  // port 0: the system chooses
  CertificateFiles tls;                   // roots: the admission CA
  std::string provider;                   // "<provider's name>=<CA file>"; empty: it has no operators
  std::string tenants_folder;             // <folder>/<tenant name>/ca.pem
  std::vector<std::string> tenants;       // "<tenant name>=<CA file>"
  std::string deny_list;                  // a file that may change (core/program/deny_file.h); empty: none
  storage::Options store;                 // path; name and version are set by Start
  std::string keystore;                   // a folder apart from the store's; empty: <store path>.keys
  at_rest::Pkcs11Options pkcs11;          // module empty: keys are files. salt_folder is set by Start
  Instantiations::Options instantiations;
  CommitIntake::Options intake;
  Mailboxes::Options mailboxes;
  Enrollment::Options enrollment;
  // COSE_Sign1 by the provider, for receipts; empty: the audit key does it, and without one nothing is
  // erased.
  std::function<absl::StatusOr<Bytes>(std::string_view typ, ByteView payload)> sign;
  AuditLog::Options audit;      // provider and clock are set by Start
  AuditNotes::Options notes;    // its clock likewise
  TenantLimits default_limits;  // of tenants for which no operator has set any
  FairQueue::Options queue;
  bool observer = false;  // operators may look at what is stored of a record (proto observer.proto)
  TransportServiceOptions transport;
  int threads = 2;                                           // of the executor, beside gRPC's and the writer
  HandshakeLimits handshakes;                                // by source address, before TLS
  int max_streams = 256;                                     // open calls of one connection
  size_t memory_quota_bytes = 1 << 30;                       // of gRPC; 0: none
  absl::Duration drain = absl::Hours(24 * 30);               // how long an epoch that ended is still taken
  absl::Duration grace = absl::Seconds(5);                   // for calls that are open when it stops
  absl::Duration retention_interval = absl::Seconds(10);     // between passes over what tenants keep
  absl::Duration tick = absl::Seconds(1);                    // between looks at what has expired
  size_t tenants_with_metrics = kDefaultTenantsWithMetrics;  // of their own; the others are added up
  const Clock* clock = &Clock::System();                     // of everything but TLS
};

class Backend {
 public:
  // Errors are one line that says what is wrong and what to do; then nothing is left running.
  static absl::StatusOr<std::unique_ptr<Backend>> Start(const BackendOptions& options);
  ~Backend();  // Stop()

  int port() const;
  size_t tenants() const;
  DenyList& deny_list();  // counts at once
  void Tick();            // what it does by itself every `tick`: ends calls whose time is over
  // Ends open calls with UNAVAILABLE, makes durable what was taken, closes the store. Idempotent.
  void Stop();

  struct Stats {
    TransportServiceStats transport;
    RecordLog::Stats log;
    storage::Stats store;
  };
  Stats GetStats() const;

 private:
  struct Parts;
  explicit Backend(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace keystead::backend
