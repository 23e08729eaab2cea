// A backend with two tenants that have something, and their backups, exports and raw rows.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/copies/backup_file.h"
#include "core/storage/tenant_copy.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {

inline constexpr uint32_t kAcmeNumber = 1;  // in a first store: tenants are numbered by name
inline constexpr uint32_t kGlobexNumber = 2;
inline constexpr uint32_t kTenantNumbers = 16;  // more than there are

class BackupTest : public BackendTest {
 protected:
  BackupTest();

  std::string FromBulb(uint64_t sequence) const;
  void Publish(uint64_t from, uint64_t to);
  // What the phone reads of the bulb's telemetry, from the beginning.
  std::vector<std::string> Telemetry();

  grpc::Status TryBackup(Peer& peer, std::string_view tenant, std::string* file);
  std::string Backup(std::string_view tenant = kAcme);
  grpc::Status TryExport(Peer& peer, std::string_view tenant, std::string* file);
  struct Restored {
    grpc::Status status;
    v1::RestoreResponse response;
    v1::RestoreOutcome outcome() const { return response.outcome(); }
  };
  Restored Restore(std::string_view tenant, const std::string& file, size_t piece = 100'000);
  Restored Restore(const std::string& file) { return Restore(kAcme, file); }
  size_t StagedFiles() const;  // of restorations under way
  // Looks until it is so, for half a minute.
  static bool Eventually(const std::function<bool()>& is_so);
  std::string EraseHome(const InstantiationId& id);
  grpc::Status EraseTenant(std::string_view tenant);
  grpc::Status Create(std::string_view tenant);
  std::vector<std::string> AuditActions(std::string_view tenant);  // of its entries, verified as a chain

  // All that stands in the store of a tenant, as bytes; the backend is stopped for it.
  using Raw = std::vector<storage::TenantItem>;
  Raw RawOf(uint32_t number);
  std::string EverybodyElse(uint32_t number);  // the raw rows of all other tenants

  const crypto::EcdsaKeyPair signer_ = *crypto::EcdsaKeyPair::Generate(RandomSource::System());
  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  std::optional<Home> their_home_;
  const StreamId stream_ = NewStream();
  const Topic telemetry_ = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
};

}  // namespace keystead::testing
