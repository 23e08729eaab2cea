// Who belongs to an instantiation in one epoch, and what each may read and write. docs/protocol.md, "Roster".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/cose/cbor.h"
#include "core/crypto/p256.h"

namespace keystead {

enum class MemberKind : uint8_t {
  kOwner = 0,  // full member: holds the epoch secret, may read and write every topic
  kDevice = 1,
  kGateway = 2,  // courier with keys of its own; reads and writes what it is granted, by default nothing
  kCourier = 3,  // carries only: a transport identity without keys (a balancer)
  kReader = 4,   // console, third-party app, service: what it is granted
};
std::string_view MemberKindName(MemberKind kind);

struct Right {
  Topic topic;
  bool read = false;
  bool write = false;
  bool operator==(const Right&) const = default;
};

// Everyone may read and, if a full member, write `keyring`; it needs no Right.
struct RosterEntry {
  MemberId member;
  MemberKind kind = MemberKind::kDevice;
  std::string transport;      // SPIFFE id, at most 512 bytes; unique in the roster
  crypto::EcdsaPublicKey ik;  // empty for a courier
  crypto::EcdhPublicKey k;    // empty for a courier
  std::vector<Right> rights;  // sorted by topic, each topic once
  std::optional<int64_t>
      expires_at;  // seconds since 1970; access ends then at once, keys with the next commit
  std::optional<Bytes> sealed_label;  // display name, sealed to members; at most 256 bytes

  Digest ckt() const;  // RFC 9679 thumbprint of ik; all zero for a courier
};

// Immutable once built. Entries are sorted by member id.
class Roster {
 public:
  Roster() = default;
  // INVALID_ARGUMENT: two entries with one member id, transport identity or signing key; rights out of order;
  // a full member or device without keys; more than limits::kMaxRosterEntries.
  static absl::StatusOr<Roster> Create(std::vector<RosterEntry> entries);

  const std::vector<RosterEntry>& entries() const { return entries_; }
  const RosterEntry* Find(const MemberId& member) const;  // null: not a member
  const RosterEntry* FindByTransport(std::string_view uri) const;
  const RosterEntry* FindByCkt(const Digest& ckt) const;

  // What the roster says, expiry not considered.
  bool MayRead(const RosterEntry& entry, const Topic& topic) const;
  bool MayWrite(const RosterEntry& entry, const Topic& topic) const;
  // A gateway or courier carries the records of others and may fetch every topic's (sealed) records for them.
  static bool MayCarry(const RosterEntry& entry);

  void WriteTo(cose::CborWriter& writer) const;
  static absl::StatusOr<Roster> ReadFrom(cose::CborReader& reader);  // INVALID_ARGUMENT

 private:
  std::vector<RosterEntry> entries_;
};

}  // namespace keystead
