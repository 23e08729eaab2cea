// Encrypts what one tenant stores. docs/decisions/0027-encryption-at-rest.md.
//
// Sealed: format(1) = 1, key version(2), compartment(8), segment(8), counter(8), ciphertext, tag(16).
// The key of a segment is Derive(version, "ks-at-rest segment", compartment, salt, segment). A segment is
// random and made anew whenever the store is opened, so that a store that was put back to an earlier state
// and goes on from there repeats no nonce; within a segment the counter is the nonce.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "backend/at_rest/keystore.h"
#include "core/base/random.h"
#include "core/crypto/aead.h"

namespace keystead::backend::at_rest {

inline constexpr size_t kSealedHeaderBytes = 1 + 2 + 8 + 8 + 8;
inline constexpr size_t kSealedOverhead = kSealedHeaderBytes + crypto::kAeadTagBytes;
inline constexpr size_t kMaskBytes = 16;

// Thread-safe.
class TenantCipher {
 public:
  // NOT_FOUND: the tenant has no key. The keystore must outlive it.
  static absl::StatusOr<std::shared_ptr<TenantCipher>> Open(KeyStore* keys, uint32_t tenant,
                                                            RandomSource& random = RandomSource::System());

  // What stands for a name in keys of the store: the first 16 bytes of its HMAC under a key of the tenant.
  std::string Mask(ByteView name) const;
  CompartmentId CompartmentOf(const InstantiationId& instantiation) const;

  // Makes what a first Seal in this compartment would make, which may wait for a disk.
  absl::Status Ready(const CompartmentId& compartment) { return ToWrite(compartment).status(); }
  absl::StatusOr<std::string> Seal(const CompartmentId& compartment, ByteView aad, std::string_view plain);
  // DATA_LOSS: not what Seal made for this AAD, or its key was destroyed. The header of what is sealed counts
  // for nothing until it opens, so the two are not told apart.
  absl::StatusOr<std::string> Unseal(ByteView aad, std::string_view sealed);

  // What is sealed from now on is under the newest version of the key.
  absl::Status TakeNewVersion();
  // A compartment whose salt was destroyed: nothing of it opens any more.
  void Forget(const CompartmentId& compartment);

 private:
  struct SegmentName {
    uint16_t version = 0;
    CompartmentId compartment;
    uint64_t segment = 0;
    bool operator==(const SegmentName&) const = default;
    template <class H>
    friend H AbslHashValue(H h, const SegmentName& name) {
      return H::combine(std::move(h), name.version, name.compartment, name.segment);
    }
  };
  struct Segment {
    explicit Segment(crypto::Aes256Gcm with) : aead(std::move(with)) {}
    absl::Mutex mutex;
    crypto::Aes256Gcm aead ABSL_GUARDED_BY(mutex);
    uint64_t counter ABSL_GUARDED_BY(mutex) = 0;
  };
  struct Writing {
    SegmentName name;
    std::shared_ptr<Segment> segment;
  };

  TenantCipher(KeyStore* keys, uint32_t tenant, RandomSource& random)
      : keys_(keys), tenant_(tenant), random_(random) {}
  absl::StatusOr<std::shared_ptr<Segment>> MakeSegment(const SegmentName& name, bool create_salt) const;
  absl::StatusOr<Writing> ToWrite(const CompartmentId& compartment);
  absl::StatusOr<std::shared_ptr<Segment>> ToRead(const SegmentName& name);

  KeyStore* const keys_;
  const uint32_t tenant_;
  RandomSource& random_;
  SecretBytes mask_key_;
  absl::Mutex mutex_;
  uint16_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;  // raised by every rotation and erasure
  absl::flat_hash_map<CompartmentId, Writing> writing_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<SegmentName, std::shared_ptr<Segment>> reading_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend::at_rest
