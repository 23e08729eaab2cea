#include <algorithm>
#include <list>
#include <optional>

#include "absl/strings/str_cat.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/identity/principal.h"
#include "core/identity/x509.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {
constexpr size_t kMaxChain = 8;
}

Principal Principal::ForTesting(const SpiffeId& id, absl::Time not_after) {
  Principal out;
  out.spiffe_ = id;
  out.uri_ = id.str();
  out.fingerprint_ = x509::Sha256(AsBytes(out.uri_));
  out.serial_ = std::string("1");
  out.not_after_ = not_after;
  return out;
}

// Certificates that were proven before, least recently used first out. An entry counts only for the state of
// the directory that it was proven under.
class PrincipalResolver::Cache {
 public:
  explicit Cache(size_t max) : max_(max) {}

  std::shared_ptr<const Principal> Find(const Digest& key, uint64_t generation) {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    if (found->second->generation != generation) {
      order_.erase(found->second);
      entries_.erase(found);
      return nullptr;
    }
    order_.splice(order_.begin(), order_, found->second);
    return found->second->principal;
  }

  void Insert(const Digest& key, uint64_t generation, std::shared_ptr<const Principal> principal) {
    absl::MutexLock lock(&mutex_);
    if (max_ == 0 || entries_.contains(key)) return;
    if (order_.size() == max_) {
      entries_.erase(order_.back().key);
      order_.pop_back();
    }
    order_.push_front({key, generation, std::move(principal)});
    entries_[key] = order_.begin();
  }

 private:
  struct Entry {
    Digest key;
    uint64_t generation;
    std::shared_ptr<const Principal> principal;
  };
  const size_t max_;
  absl::Mutex mutex_;
  std::list<Entry> order_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<Digest, std::list<Entry>::iterator> entries_ ABSL_GUARDED_BY(mutex_);
};

namespace {

struct EnrollmentCa {
  Digest key_id;
  absl::Time not_before;
  absl::Time not_after;
};

// The CA in `chain_pem` that issued `leaf` and was itself issued by `registered`. One step, never more.
std::optional<EnrollmentCa> FindEnrollmentCa(X509* leaf, std::string_view chain_pem, EVP_PKEY* registered) {
  if (chain_pem.empty()) return std::nullopt;
  const absl::StatusOr<std::vector<X509Ptr>> chain = x509::ParseCertificates(chain_pem, kMaxChain);
  if (!chain.ok()) return std::nullopt;
  for (const X509Ptr& certificate : *chain) {
    const PkeyPtr key(X509_get_pubkey(certificate.get()));
    if (key == nullptr || !x509::IsP256(key.get()) || !x509::IsCa(certificate.get()) ||
        !x509::IsSignedBy(certificate.get(), registered) || !x509::IsSignedBy(leaf, key.get()))
      continue;
    const absl::StatusOr<Digest> key_id = x509::KeyId(key.get());
    const absl::StatusOr<absl::Time> not_before = x509::ToTime(X509_get0_notBefore(certificate.get()));
    const absl::StatusOr<absl::Time> not_after = x509::ToTime(X509_get0_notAfter(certificate.get()));
    if (key_id.ok() && not_before.ok() && not_after.ok())
      return EnrollmentCa{*key_id, *not_before, *not_after};
  }
  return std::nullopt;
}

}  // namespace

PrincipalResolver::PrincipalResolver(const TenantDirectory* directory, const DenyList* deny_list,
                                     const Clock* clock, size_t max_cached)
    : directory_(directory),
      deny_list_(deny_list),
      clock_(clock),
      cache_(std::make_unique<Cache>(max_cached)) {}

PrincipalResolver::~PrincipalResolver() = default;

absl::Status PrincipalResolver::Refuse(SecurityEventKind kind, std::string_view reason,
                                       const Principal& claimed) const {
  SecurityEvent event;
  event.kind = kind;
  event.tenant = claimed.tenant().str();
  event.peer = claimed.uri();
  event.detail = std::string(reason);
  Report(event);
  return absl::UnauthenticatedError(Absl(reason));
}

absl::StatusOr<std::shared_ptr<const Principal>> PrincipalResolver::Resolve(
    std::string_view leaf_pem, std::string_view chain_pem) const {
  const Digest key = x509::Sha256(AsBytes(leaf_pem));
  // Read before the keys are: a change in between makes the new entry stale, never a stale entry current.
  const uint64_t generation = directory_->generation();
  std::shared_ptr<const Principal> principal = cache_->Find(key, generation);
  if (principal == nullptr) {
    KS_ASSIGN_OR_RETURN(principal, Establish(leaf_pem, chain_pem));
    cache_->Insert(key, generation, principal);
  }
  if (clock_->Now() > principal->not_after()) {
    return Refuse(SecurityEventKind::kPeerRefused, "certificate expired", *principal);
  }
  if (deny_list_->Denies(*principal)) {
    return Refuse(SecurityEventKind::kPeerRefused, "certificate is on the deny list", *principal);
  }
  return principal;
}

absl::StatusOr<std::shared_ptr<const Principal>> PrincipalResolver::Establish(
    std::string_view leaf_pem, std::string_view chain_pem) const {
  Principal claim;
  const auto refuse = [&](std::string_view reason) {
    return Refuse(SecurityEventKind::kPeerRefused, reason, claim);
  };
  const absl::StatusOr<std::vector<X509Ptr>> certificates = x509::ParseCertificates(leaf_pem, 1);
  if (!certificates.ok()) return refuse("not one certificate");
  X509* const leaf = certificates->front().get();

  const absl::StatusOr<std::vector<std::string>> uris = x509::UriNames(leaf);
  if (!uris.ok() || uris->size() != 1) return refuse("certificate has not exactly one URI name");
  const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(uris->front());
  if (!id.ok()) return refuse("URI name is not a SPIFFE id of ours");
  claim.spiffe_ = *id;
  claim.uri_ = id->str();
  if (x509::IsCa(leaf)) return refuse("a CA certificate is no peer");

  const absl::StatusOr<absl::Time> not_before = x509::ToTime(X509_get0_notBefore(leaf));
  const absl::StatusOr<absl::Time> not_after = x509::ToTime(X509_get0_notAfter(leaf));
  const absl::StatusOr<std::string> serial = x509::SerialHex(leaf);
  const absl::StatusOr<Digest> fingerprint = x509::Fingerprint(leaf);
  if (!not_before.ok() || !not_after.ok() || !serial.ok() || !fingerprint.ok())
    return refuse("malformed certificate");
  if (clock_->Now() < *not_before) return refuse("certificate is not yet valid");
  claim.not_after_ = *not_after;
  claim.serial_ = *serial;
  claim.fingerprint_ = *fingerprint;

  const std::vector<TenantDirectory::Entry> keys = directory_->KeysOf(claim.tenant());
  if (keys.empty()) return refuse("tenant is not registered");
  // What a tenant's CA signs speaks for that tenant: it cannot make an operator.
  if (directory_->IsProvider(claim.tenant()) != (claim.role() == Role::kOperator))
    return refuse("operators are the provider's, and the provider has nothing else");
  for (const TenantDirectory::Entry& entry : keys) {
    if (!x509::IsSignedBy(leaf, entry.key->get())) continue;
    claim.issuer_key_id_ = claim.registered_key_id_ = entry.key_id;
    return std::make_shared<const Principal>(std::move(claim));
  }
  for (const TenantDirectory::Entry& entry : keys) {
    const std::optional<EnrollmentCa> ca = FindEnrollmentCa(leaf, chain_pem, entry.key->get());
    if (!ca.has_value()) continue;
    if (claim.role() != Role::kDevice && claim.role() != Role::kGateway) {
      return Refuse(SecurityEventKind::kIssuerMismatch,
                    "an enrollment CA speaks for devices and gateways only", claim);
    }
    if (clock_->Now() < ca->not_before) return refuse("the enrollment CA is not yet valid");
    claim.not_after_ = std::min(claim.not_after_, ca->not_after);
    claim.issuer_key_id_ = ca->key_id;
    claim.registered_key_id_ = entry.key_id;
    return std::make_shared<const Principal>(std::move(claim));
  }
  for (const TenantName& any :
       MutantActive(Mutant::kIssuerBindingOff) ? directory_->Tenants() : std::vector<TenantName>()) {
    for (const TenantDirectory::Entry& entry : directory_->KeysOf(any)) {
      if (!x509::IsSignedBy(leaf, entry.key->get())) continue;
      claim.issuer_key_id_ = claim.registered_key_id_ = keys.front().key_id;
      return std::make_shared<const Principal>(std::move(claim));
    }
  }
  return Refuse(SecurityEventKind::kIssuerMismatch,
                "the CA registered for this tenant did not issue the certificate", claim);
}

absl::Status PrincipalResolver::CheckStillValid(const Principal& principal) const {
  if (clock_->Now() > principal.not_after()) {
    return Refuse(SecurityEventKind::kPeerRefused, "certificate expired", principal);
  }
  if (deny_list_->Denies(principal)) {
    return Refuse(SecurityEventKind::kPeerRefused, "certificate is on the deny list", principal);
  }
  if (!directory_->HasKey(principal.tenant(), principal.registered_key_id_)) {
    return Refuse(SecurityEventKind::kPeerRefused, "the tenant's CA is registered no longer", principal);
  }
  return absl::OkStatus();
}

}  // namespace keystead
