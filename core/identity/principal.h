// Who is calling, established from the certificate of a finished TLS handshake, and who is so no longer.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/identity/spiffe_id.h"
#include "core/observe/security_event.h"

namespace keystead {

// An authenticated peer. Only PrincipalResolver makes one, so whoever holds it holds the proof that the CA
// key registered for `tenant()` signed the peer's certificate. Immutable value.
class Principal {
 public:
  const SpiffeId& id() const { return spiffe_; }
  const TenantName& tenant() const { return spiffe_.tenant(); }
  Role role() const { return spiffe_.role(); }
  const std::string& name() const { return spiffe_.id(); }  // the <id> element
  const std::string& uri() const { return uri_; }
  // SHA-256 of the SubjectPublicKeyInfo of who signed the leaf: the registered CA, or an enrollment CA below
  // it.
  const Digest& issuer_key_id() const { return issuer_key_id_; }
  const Digest& fingerprint() const { return fingerprint_; }  // SHA-256 of the leaf in DER
  const std::string& serial() const { return serial_; }       // lower-case hex without leading zeros
  absl::Time not_after() const {
    return not_after_;
  }  // of the leaf, and of the enrollment CA if there is one

  // Without any proof: for tests of what stands behind authentication.
  static Principal ForTesting(const SpiffeId& id, absl::Time not_after = absl::InfiniteFuture());

 private:
  friend class PrincipalResolver;
  Principal() = default;

  SpiffeId spiffe_;
  std::string uri_;
  Digest issuer_key_id_;
  Digest registered_key_id_;
  Digest fingerprint_;
  std::string serial_;
  absl::Time not_after_;
};

// A CA public key in parsed form; opaque so that OpenSSL stays inside this folder.
class PublicKey;

// Which CA keys speak for which tenant. A tenant may have several while it changes CAs. Thread-safe.
class TenantDirectory {
 public:
  TenantDirectory();
  ~TenantDirectory();

  // Registers the keys of every certificate in `ca_pem` (at most 8) in place of what the tenant had.
  // INVALID_ARGUMENT for no, a malformed, a non-P-256 or a non-CA certificate; then nothing changes.
  // ALREADY_EXISTS: the name is the provider's.
  absl::Status Register(const TenantName& tenant, std::string_view ca_pem);
  // The provider's own name and keys. Nobody else has operators, and it has nothing else. Once.
  absl::Status RegisterProvider(const TenantName& provider, std::string_view ca_pem);
  void Remove(const TenantName& tenant);
  bool Contains(const TenantName& tenant) const;
  bool IsProvider(const TenantName& name) const;
  std::vector<TenantName> Tenants() const;  // sorted, without the provider

  // Whether one of the tenant's CA keys signed this (core/cose/sign1.h); the payload is a view into `object`.
  // UNAUTHENTICATED when none did or the tenant is not registered; INVALID_ARGUMENT when it is no COSE_Sign1.
  absl::StatusOr<ByteView> OpenSigned(const TenantName& tenant, ByteView object, std::string_view typ) const;

  // Registers <directory>/<tenant name>/ca.pem for each subfolder that has one. The first error is returned,
  // with the path in it; tenants registered until then stay. NOT_FOUND when there is none at all.
  absl::Status LoadFolder(const std::string& directory);

 private:
  friend class PrincipalResolver;
  struct Entry {
    std::shared_ptr<const PublicKey> key;
    Digest key_id;
  };
  static absl::StatusOr<std::vector<Entry>> ParseKeys(std::string_view ca_pem);
  std::vector<Entry> KeysOf(const TenantName& tenant) const;
  bool HasKey(const TenantName& tenant, const Digest& key_id) const;
  uint64_t generation() const;  // raised by every change

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<TenantName, std::vector<Entry>> keys_ ABSL_GUARDED_BY(mutex_);
  TenantName provider_ ABSL_GUARDED_BY(mutex_);  // no name: none
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 1;
};

// Certificates that count no longer, per tenant. TLS does not see it (open connections would go on, and a
// missing CRL fails open), hence the check per call and per batch on a stream. Thread-safe; a change counts
// at once.
class DenyList {
 public:
  struct Entries {
    absl::flat_hash_set<std::string> serials;  // lower-case hex without leading zeros
    absl::flat_hash_set<Digest> fingerprints;  // SHA-256 of the leaf in DER
    absl::flat_hash_set<Digest> issuers;  // SHA-256 of an enrollment CA's SubjectPublicKeyInfo: all below it
    absl::flat_hash_set<std::string> names;  // "<role>/<id>": whatever certificate it shows
  };
  // Whoever operates the process, and the tenant itself (core/identity/revocations.h), each have a list of
  // their own: neither takes back what the other denies.
  enum class Source : uint8_t { kOperator, kTenant };
  void Replace(const TenantName& tenant, Entries entries, Source source = Source::kOperator);
  void DenySerial(const TenantName& tenant,
                  std::string_view serial_hex);  // case and leading zeros do not matter
  void DenyFingerprint(const TenantName& tenant, const Digest& fingerprint);
  void DenyIssuer(const TenantName& tenant, const Digest& key_id);
  void DenyName(const TenantName& tenant, Role role, std::string_view id);
  bool Denies(const Principal& principal) const;
  bool DeniesName(const SpiffeId& id) const;
  bool Knows(const TenantName& tenant) const;  // whether it has an entry at all

 private:
  Entries& OfOperator(const TenantName& tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<TenantName, std::array<Entries, 2>> entries_ ABSL_GUARDED_BY(mutex_);  // by source
};

// From a peer's certificate to a Principal. TLS has already verified the chain against the root bundle; with
// several CAs in one bundle that alone lets one tenant's CA name another tenant, so the resolver in addition
// verifies the leaf's signature under a key registered for exactly the tenant it names, or under an
// enrollment CA which that key signed and which speaks for devices and gateways only (docs/decisions/0025).
// Thread-safe. The directory, deny list and clock must outlive it.
class PrincipalResolver {
 public:
  PrincipalResolver(const TenantDirectory* directory, const DenyList* deny_list,
                    const Clock* clock = &Clock::System(), size_t max_cached = 16384);
  ~PrincipalResolver();

  // UNAUTHENTICATED for every refusal, with the reason for the local log; the refusal is also Reported as a
  // security event (issuer_mismatch or peer_refused). Reasons: not one certificate, not exactly one URI SAN,
  // not a SPIFFE id of ours, a CA certificate, outside its validity, unknown tenant, another issuer, on the
  // deny list. A certificate seen before costs one SHA-256 of its PEM; validity and the deny list are looked
  // at each time.
  // `chain_pem`: what the peer sent beside its leaf, as it came.
  absl::StatusOr<std::shared_ptr<const Principal>> Resolve(std::string_view leaf_pem,
                                                           std::string_view chain_pem = {}) const;

  // Whether this name may be nobody's any more, whatever certificate it shows.
  bool IsDeniedName(const SpiffeId& id) const { return deny_list_->DeniesName(id); }

  // For a stream that outlives its first check. UNAUTHENTICATED when expired, denied, or the tenant's CA is
  // no longer registered. Costs two hash look-ups.
  absl::Status CheckStillValid(const Principal& principal) const;

 private:
  class Cache;
  absl::StatusOr<std::shared_ptr<const Principal>> Establish(std::string_view leaf_pem,
                                                             std::string_view chain_pem) const;
  absl::Status Refuse(SecurityEventKind kind, std::string_view reason, const Principal& claimed) const;

  const TenantDirectory* const directory_;
  const DenyList* const deny_list_;
  const Clock* const clock_;
  const std::unique_ptr<Cache> cache_;
};

}  // namespace keystead
