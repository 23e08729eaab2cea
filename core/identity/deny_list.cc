#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/mutants.h"
#include "core/identity/principal.h"

namespace keystead {
namespace {

// Certificates write serial numbers in several ways; a deny list that missed one for a leading zero would
// fail open.
std::string Canonical(std::string_view serial_hex) {
  std::string out = absl::AsciiStrToLower(Absl(serial_hex));
  const size_t first = out.find_first_not_of('0');
  if (first == std::string::npos) return out.empty() ? out : "0";
  out.erase(0, first);
  return out;
}

bool IsEmpty(const DenyList::Entries& entries) {
  return entries.serials.empty() && entries.fingerprints.empty() && entries.issuers.empty() &&
         entries.names.empty();
}

std::string NameOf(Role role, std::string_view id) {
  return absl::StrCat(Absl(RoleName(role)), "/", Absl(id));
}

}  // namespace

void DenyList::Replace(const TenantName& tenant, Entries entries, Source source) {
  absl::flat_hash_set<std::string> serials;
  for (const std::string& serial : entries.serials) serials.insert(Canonical(serial));
  entries.serials = std::move(serials);
  absl::MutexLock lock(&mutex_);
  std::array<Entries, 2>& of_tenant = entries_[tenant];
  of_tenant[static_cast<size_t>(source)] = std::move(entries);
  if (std::all_of(of_tenant.begin(), of_tenant.end(), IsEmpty)) entries_.erase(tenant);
}

DenyList::Entries& DenyList::OfOperator(const TenantName& tenant) {
  return entries_[tenant][static_cast<size_t>(Source::kOperator)];
}

void DenyList::DenySerial(const TenantName& tenant, std::string_view serial_hex) {
  absl::MutexLock lock(&mutex_);
  OfOperator(tenant).serials.insert(Canonical(serial_hex));
}

void DenyList::DenyFingerprint(const TenantName& tenant, const Digest& fingerprint) {
  absl::MutexLock lock(&mutex_);
  OfOperator(tenant).fingerprints.insert(fingerprint);
}

void DenyList::DenyIssuer(const TenantName& tenant, const Digest& key_id) {
  absl::MutexLock lock(&mutex_);
  OfOperator(tenant).issuers.insert(key_id);
}

void DenyList::DenyName(const TenantName& tenant, Role role, std::string_view id) {
  absl::MutexLock lock(&mutex_);
  OfOperator(tenant).names.insert(NameOf(role, id));
}

bool DenyList::Denies(const Principal& principal) const {
  if (MutantActive(Mutant::kRevocationIgnored)) return false;
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = entries_.find(principal.tenant());
  if (found == entries_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const Entries& entries) {
    return entries.serials.contains(principal.serial()) ||
           entries.fingerprints.contains(principal.fingerprint()) ||
           entries.issuers.contains(principal.issuer_key_id()) ||
           (!entries.names.empty() && entries.names.contains(NameOf(principal.role(), principal.name())));
  });
}

bool DenyList::Knows(const TenantName& tenant) const {
  absl::ReaderMutexLock lock(&mutex_);
  return entries_.contains(tenant);
}

bool DenyList::DeniesName(const SpiffeId& id) const {
  if (MutantActive(Mutant::kRevocationIgnored)) return false;
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = entries_.find(id.tenant());
  return found != entries_.end() &&
         std::any_of(found->second.begin(), found->second.end(), [&](const Entries& entries) {
           return entries.names.contains(NameOf(id.role(), id.id()));
         });
}

}  // namespace keystead
