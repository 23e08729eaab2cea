// One entry of a tenant's audit log (docs/decisions/0029-audit-log.md). As bytes, deterministic CBOR:
//
//   [ sequence, time, actor, action, object, detail, previous ]
//     sequence  0, 1, 2, … without holes
//     time      microseconds since 1970 by the provider's clock; not necessarily ascending
//     actor     text: SPIFFE id of who did it, or "" for the backend itself
//     action    text: a constant in snake_case, such as "limits_set"
//     object    text: what it was done to, such as an instantiation in hex
//     detail    text: public values only
//     previous  hash of the entry before, 32 bytes; of entry 0: zero
//
// The hash of an entry is SHA-256 over CBOR["ks1 audit-entry", tenant, entry as a byte string]: an entry
// cannot stand in another tenant's chain.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace keystead::audit {

inline constexpr size_t kMaxActorBytes = 512;
inline constexpr size_t kMaxActionBytes = 64;
inline constexpr size_t kMaxObjectBytes = 512;
inline constexpr size_t kMaxDetailBytes = 1024;
inline constexpr size_t kMaxEntryBytes = 2304;

// What somebody has to say; the log adds the rest.
struct Event {
  std::string actor;
  std::string action;
  std::string object;
  std::string detail;
};

struct Entry {
  uint64_t sequence = 0;
  absl::Time time;
  Event event;
  Digest previous;
};

// Texts are cut to their limits, and what is not printable ASCII becomes '?': any of them may hold what a
// peer said.
Bytes EncodeEntry(const Entry& entry);
absl::StatusOr<Entry> ParseEntry(ByteView bytes);  // INVALID_ARGUMENT for whatever EncodeEntry does not make
Digest HashEntry(const TenantName& tenant, ByteView bytes);

}  // namespace keystead::audit
