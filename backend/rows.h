// The small rows that the backend keeps beside the logs of core/transport. All numbers are big-endian.
//
//   tenant  table          key                        value
//   0       kTenantTable   tenant name                number(8)
//   n       kCommitTable   instantiation(16) epoch(8) taken(8, µs since 1970) hash(32) bundle
//   n       kDeviceTable   ckt(32)                    reset counter(8) instantiation(16) acceptance
//                                                 digest(32)
//   n       kEvictedTable  instantiation(16) ckt(32)  empty
//   n       kCountTable    "instantiations"           number(8)
//   n       kRevocationTable "newest"                 the signed revocations that count
//   n       kUsageTable    "stored"                   groups(8) bytes(8) of all its topics
//   0       kLimitsTable   tenant name                serialized keystead.v1.TenantLimits
//   0       kAdmittedTable tenant name                number(8) certificates of its CA keys (PEM)
//   0       kErasedTable   tenant name                number(8) when(8, µs since 1970) groups(8) bytes(8)
//   done(1)
//   n, 0    kAuditTable    sequence(8)                an entry (core/audit/entry.h); 0: the provider's own
//   log n, 0    kCountTable    "audit"                    first(8) before(32) count(8) head(32)
//   (core/audit/head.h)
//   0       kCountTable    "keystore"                 anything that opens with the store's own key
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

inline constexpr uint32_t kOwnTenant = 0;  // rows of the backend itself
inline constexpr storage::Table kTenantTable{16};
inline constexpr storage::Table kCommitTable{17};
inline constexpr storage::Table kDeviceTable{18};
inline constexpr storage::Table kEvictedTable{19};
inline constexpr storage::Table kCountTable{20};
inline constexpr storage::Table kUsageTable{21};
inline constexpr storage::Table kLimitsTable{22};
inline constexpr storage::Table kAdmittedTable{23};  // tenants that an operator created
inline constexpr storage::Table kErasedTable{24};
inline constexpr storage::Table kRevocationTable{25};
inline constexpr std::string_view kRevocationKey = "newest";
inline constexpr storage::Table kAuditTable{26};
inline constexpr std::string_view kAuditState = "audit";
inline constexpr std::string_view kKeystoreMark = "keystore";
inline constexpr std::string_view kStoredUsage = "stored";
inline constexpr std::string_view kInstantiationCount = "instantiations";

// DATA_LOSS from every Decode: the store holds what this program did not write.
std::string EncodeNumber(uint64_t number);
absl::StatusOr<uint64_t> DecodeNumber(std::string_view bytes);

struct CommitRow {
  absl::Time taken;  // when this backend took it, by its own clock
  Digest hash;       // of the signed commit
  std::string bundle;
};
std::string CommitKey(const InstantiationId& id, uint64_t epoch);
std::string EncodeCommit(const CommitRow& row);
absl::StatusOr<CommitRow> DecodeCommit(std::string_view bytes);

// Where a device belongs: its latest acceptance.
struct DeviceRow {
  uint64_t reset_counter = 0;
  InstantiationId instantiation;
  Digest acceptance;
};
std::string EncodeDevice(const DeviceRow& row);
absl::StatusOr<DeviceRow> DecodeDevice(std::string_view bytes);

// Groups that a tenant has stored, exactly.
struct StoredUsage {
  uint64_t groups = 0;
  uint64_t bytes = 0;
};
std::string EncodeUsage(const StoredUsage& usage);
absl::StatusOr<StoredUsage> DecodeUsage(std::string_view bytes);

// A tenant that was erased, with what it had.
struct ErasedRow {
  uint32_t number = 0;
  absl::Time erased;
  StoredUsage was;
  bool complete = false;  // else a crash came in between: key and rows may still be there
};
std::string EncodeErased(const ErasedRow& row);
absl::StatusOr<ErasedRow> DecodeErased(std::string_view bytes);

// What of an audit log is kept, and what its chain hangs on.
struct AuditState {
  uint64_t first = 0;
  Digest before;
  uint64_t count = 0;
  Digest head;
};
std::string EncodeAuditState(const AuditState& state);
absl::StatusOr<AuditState> DecodeAuditState(std::string_view bytes);

std::string EvictedKey(const InstantiationId& id, const Digest& ckt);
absl::StatusOr<Digest> DecodeEvictedKey(std::string_view key);

}  // namespace keystead::backend
