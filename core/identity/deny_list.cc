#include "absl/strings/ascii.h"
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

}  // namespace

void DenyList::Replace(const TenantName& tenant, Entries entries) {
  absl::flat_hash_set<std::string> serials;
  for (const std::string& serial : entries.serials) serials.insert(Canonical(serial));
  entries.serials = std::move(serials);
  absl::MutexLock lock(&mutex_);
  entries_[tenant] = std::move(entries);
}

void DenyList::DenySerial(const TenantName& tenant, std::string_view serial_hex) {
  absl::MutexLock lock(&mutex_);
  entries_[tenant].serials.insert(Canonical(serial_hex));
}

void DenyList::DenyFingerprint(const TenantName& tenant, const Digest& fingerprint) {
  absl::MutexLock lock(&mutex_);
  entries_[tenant].fingerprints.insert(fingerprint);
}

bool DenyList::Denies(const Principal& principal) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = entries_.find(principal.tenant());
  return found != entries_.end() && (found->second.serials.contains(principal.serial()) ||
                                     found->second.fingerprints.contains(principal.fingerprint()));
}

}  // namespace keystead
