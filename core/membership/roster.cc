#include "core/membership/roster.h"

#include <algorithm>
#include <set>

#include "core/base/limits.h"
#include "core/cose/cose_key.h"

namespace keystead {
namespace {

constexpr size_t kMaxTransportBytes = 512;
constexpr size_t kMaxSealedLabelBytes = 256;

absl::Status BadRoster(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("roster is malformed: ", Absl(why)));
}

absl::Status CheckEntry(const RosterEntry& entry) {
  if (entry.transport.empty() || entry.transport.size() > kMaxTransportBytes) {
    return BadRoster("transport identity is empty or too long");
  }
  const bool courier = entry.kind == MemberKind::kCourier;
  if (entry.ik.empty() != courier || entry.k.empty() != courier) {
    return BadRoster("a courier has no keys and every other member has both");
  }
  if (courier && !entry.rights.empty()) return BadRoster("a courier has rights");
  if (entry.sealed_label.has_value() && entry.sealed_label->size() > kMaxSealedLabelBytes) {
    return BadRoster("sealed label is too long");
  }
  for (size_t i = 0; i < entry.rights.size(); ++i) {
    const Right& right = entry.rights[i];
    if (!right.read && !right.write) return BadRoster("a right grants nothing");
    if (!right.topic.is_sealed()) return BadRoster("keyring needs no right");
    if (i > 0 && !(entry.rights[i - 1].topic < right.topic)) return BadRoster("rights are not in order");
  }
  return absl::OkStatus();
}

void WriteEntry(cose::CborWriter& w, const RosterEntry& entry) {
  w.Array(8).Bstr(entry.member.view()).Uint(static_cast<uint64_t>(entry.kind)).Text(entry.transport);
  if (entry.ik.empty()) {
    w.Null().Null();
  } else {
    cose::EncodeOne(w, entry.ik);
    cose::EncodeOne(w, entry.k);
  }
  w.Array(entry.rights.size());
  for (const Right& right : entry.rights) {
    w.Array(2).Text(right.topic.str()).Uint((right.read ? 1u : 0u) | (right.write ? 2u : 0u));
  }
  cose::EncodeOne(w, entry.expires_at);
  cose::EncodeOne(w, entry.sealed_label);
}

absl::StatusOr<RosterEntry> ReadEntry(cose::CborReader& r) {
  RosterEntry entry;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(8));
  KS_ASSIGN_OR_RETURN(entry.member, r.ReadId<MemberId>());
  KS_ASSIGN_OR_RETURN(const uint64_t kind, r.ReadUint());
  if (kind > static_cast<uint64_t>(MemberKind::kReader)) return BadRoster("unknown kind of member");
  entry.kind = static_cast<MemberKind>(kind);
  KS_ASSIGN_OR_RETURN(const std::string_view transport, r.ReadText());
  entry.transport = std::string(transport);
  KS_ASSIGN_OR_RETURN(const bool no_ik, r.TryNull());
  if (!no_ik) {
    KS_ASSIGN_OR_RETURN(entry.ik, cose::ReadEcdsaKey(r));
  }
  KS_ASSIGN_OR_RETURN(const bool no_k, r.TryNull());
  if (!no_k) {
    KS_ASSIGN_OR_RETURN(entry.k, cose::ReadEcdhKey(r));
  }
  KS_ASSIGN_OR_RETURN(const size_t rights, r.ReadArray());
  for (size_t i = 0; i < rights; ++i) {
    Right right;
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(const std::string_view topic, r.ReadText());
    KS_ASSIGN_OR_RETURN(right.topic, Topic::Parse(topic));
    KS_ASSIGN_OR_RETURN(const uint64_t bits, r.ReadUint());
    if (bits > 3) return BadRoster("unknown right");
    right.read = (bits & 1) != 0;
    right.write = (bits & 2) != 0;
    entry.rights.push_back(std::move(right));
  }
  KS_ASSIGN_OR_RETURN(const bool never_expires, r.TryNull());
  if (!never_expires) {
    KS_ASSIGN_OR_RETURN(entry.expires_at, r.ReadInt());
  }
  KS_ASSIGN_OR_RETURN(const bool no_label, r.TryNull());
  if (!no_label) {
    KS_ASSIGN_OR_RETURN(const ByteView label, r.ReadBytes());
    entry.sealed_label = ToBytes(label);
  }
  return entry;
}

}  // namespace

std::string_view MemberKindName(MemberKind kind) {
  switch (kind) {
    case MemberKind::kOwner:
      return "owner";
    case MemberKind::kDevice:
      return "device";
    case MemberKind::kGateway:
      return "gateway";
    case MemberKind::kCourier:
      return "courier";
    case MemberKind::kReader:
      return "reader";
  }
  return "reader";
}

Digest RosterEntry::ckt() const { return ik.empty() ? Digest() : cose::Ckt(ik); }

absl::StatusOr<Roster> Roster::Create(std::vector<RosterEntry> entries) {
  if (entries.size() > limits::kMaxRosterEntries) return BadRoster("too many members");
  std::sort(entries.begin(), entries.end(),
            [](const RosterEntry& a, const RosterEntry& b) { return a.member < b.member; });
  std::set<std::string_view> transports;
  std::set<crypto::P256Point> keys;
  for (size_t i = 0; i < entries.size(); ++i) {
    const RosterEntry& entry = entries[i];
    KS_RETURN_IF_ERROR(CheckEntry(entry));
    if (i > 0 && entries[i - 1].member == entry.member) return BadRoster("a member id stands twice");
    if (!transports.insert(entry.transport).second) return BadRoster("a transport identity stands twice");
    if (!entry.ik.empty() && !keys.insert(entry.ik.point()).second)
      return BadRoster("a signing key stands twice");
  }
  Roster roster;
  roster.entries_ = std::move(entries);
  return roster;
}

const RosterEntry* Roster::Find(const MemberId& member) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), member,
                                   [](const RosterEntry& e, const MemberId& m) { return e.member < m; });
  return at != entries_.end() && at->member == member ? &*at : nullptr;
}

const RosterEntry* Roster::FindByTransport(std::string_view uri) const {
  for (const RosterEntry& entry : entries_) {
    if (entry.transport == uri) return &entry;
  }
  return nullptr;
}

const RosterEntry* Roster::FindByCkt(const Digest& ckt) const {
  for (const RosterEntry& entry : entries_) {
    if (!entry.ik.empty() && entry.ckt() == ckt) return &entry;
  }
  return nullptr;
}

namespace {

const Right* FindRight(const RosterEntry& entry, const Topic& topic) {
  const auto at = std::lower_bound(entry.rights.begin(), entry.rights.end(), topic,
                                   [](const Right& r, const Topic& t) { return r.topic < t; });
  return at != entry.rights.end() && at->topic == topic ? &*at : nullptr;
}

}  // namespace

bool Roster::MayRead(const RosterEntry& entry, const Topic& topic) const {
  if (!topic.is_sealed() || entry.kind == MemberKind::kOwner) return true;
  const Right* right = FindRight(entry, topic);
  return right != nullptr && right->read;
}

bool Roster::MayWrite(const RosterEntry& entry, const Topic& topic) const {
  if (entry.kind == MemberKind::kOwner) return true;
  // Every reader may ask for freshness: probes are its own signed words in keyring.
  if (!topic.is_sealed()) return entry.kind != MemberKind::kCourier;
  const Right* right = FindRight(entry, topic);
  return right != nullptr && right->write;
}

bool Roster::MayCarry(const RosterEntry& entry) {
  return entry.kind == MemberKind::kGateway || entry.kind == MemberKind::kCourier;
}

void Roster::WriteTo(cose::CborWriter& writer) const {
  writer.Array(entries_.size());
  for (const RosterEntry& entry : entries_) WriteEntry(writer, entry);
}

absl::StatusOr<Roster> Roster::ReadFrom(cose::CborReader& reader) {
  KS_ASSIGN_OR_RETURN(const size_t count, reader.ReadArray());
  if (count > limits::kMaxRosterEntries) return BadRoster("too many members");
  std::vector<RosterEntry> entries;
  for (size_t i = 0; i < count; ++i) {
    KS_ASSIGN_OR_RETURN(RosterEntry entry, ReadEntry(reader));
    if (i > 0 && !(entries.back().member < entry.member)) return BadRoster("members are not in order");
    entries.push_back(std::move(entry));
  }
  return Create(std::move(entries));
}

}  // namespace keystead
