#include "backend/at_rest/tenant_cipher.h"

#include <algorithm>
#include <utility>

#include "core/base/big_endian.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace keystead::backend::at_rest {
namespace {

constexpr uint8_t kFormat = 1;
constexpr std::string_view kMaskLabel{"ks-at-rest names\0", 17};  // label, zero byte, no context
constexpr std::string_view kSegmentLabel = "ks-at-rest segment";
// Names must be found again after a rotation, so they hang on the first version, which stays.
constexpr uint32_t kMaskVersion = 1;
constexpr size_t kMaxSegments = 16384;  // of each kind, in memory; about 1 KiB each

crypto::AeadNonce NonceOf(uint64_t counter) {
  crypto::AeadNonce nonce{};
  for (size_t i = 0; i < 8; ++i) nonce[11 - i] = static_cast<uint8_t>(counter >> (8 * i));
  return nonce;
}

}  // namespace

absl::StatusOr<std::shared_ptr<TenantCipher>> TenantCipher::Open(KeyStore* keys, uint32_t tenant,
                                                                 RandomSource& random) {
  std::shared_ptr<TenantCipher> cipher(new TenantCipher(keys, tenant, random));
  KS_RETURN_IF_ERROR(cipher->TakeNewVersion());
  KS_ASSIGN_OR_RETURN(cipher->mask_key_, keys->Derive(tenant, kMaskVersion, AsBytes(kMaskLabel)));
  return cipher;
}

absl::Status TenantCipher::TakeNewVersion() {
  KS_ASSIGN_OR_RETURN(const uint32_t version, keys_->CurrentVersion(tenant_));
  if (version > UINT16_MAX) return absl::ResourceExhaustedError("the versions of a tenant's key are used up");
  absl::MutexLock lock(&mutex_);
  version_ = static_cast<uint16_t>(version);
  ++generation_;
  writing_.clear();
  return absl::OkStatus();
}

std::string TenantCipher::Mask(ByteView name) const {
  return crypto::HmacSha256(mask_key_.ExposeSecret(), name).ToString().substr(0, kMaskBytes);
}

CompartmentId TenantCipher::CompartmentOf(const InstantiationId& instantiation) const {
  std::string name = "compartment";
  name += instantiation.ToString();
  return *CompartmentId::FromBytes(std::string_view(Mask(AsBytes(name))).substr(0, CompartmentId::kSize));
}

absl::StatusOr<std::shared_ptr<TenantCipher::Segment>> TenantCipher::MakeSegment(const SegmentName& name,
                                                                                 bool create_salt) const {
  std::string info(kSegmentLabel);
  info.push_back('\0');
  info += name.compartment.ToString();
  if (name.compartment != CompartmentId()) {
    KS_ASSIGN_OR_RETURN(const SecretBytes salt, keys_->Salt(tenant_, name.compartment, create_salt));
    info += AsChars(salt.ExposeSecret());
  }
  PutNumber(info, name.segment, 8);
  absl::StatusOr<SecretBytes> key = keys_->Derive(tenant_, name.version, AsBytes(info));
  SecureWipe(info.data(), info.size());
  if (!key.ok()) return key.status();
  KS_ASSIGN_OR_RETURN(crypto::Aes256Gcm aead, crypto::Aes256Gcm::Create(*key));
  return std::make_shared<Segment>(std::move(aead));
}

absl::StatusOr<TenantCipher::Writing> TenantCipher::ToWrite(const CompartmentId& compartment) {
  while (true) {
    SegmentName name{.version = 0, .compartment = compartment, .segment = 0};
    uint64_t generation = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (const auto found = writing_.find(compartment); found != writing_.end()) return found->second;
      name.version = version_;
      generation = generation_;
    }
    uint8_t random[8];
    random_.Fill(random);
    name.segment = GetNumber(AsChars(ByteView(random)));
    Writing made{name, nullptr};
    KS_ASSIGN_OR_RETURN(made.segment, MakeSegment(name, true));
    absl::MutexLock lock(&mutex_);
    if (generation_ != generation) continue;                // rotated or erased meanwhile
    if (writing_.size() >= kMaxSegments) writing_.clear();  // each gets another segment
    return writing_.try_emplace(compartment, std::move(made)).first->second;
  }
}

absl::StatusOr<std::shared_ptr<TenantCipher::Segment>> TenantCipher::ToRead(const SegmentName& name) {
  while (true) {
    uint64_t generation = 0;
    {
      absl::MutexLock lock(&mutex_);
      const auto writing = writing_.find(name.compartment);
      if (writing != writing_.end() && writing->second.name == name) return writing->second.segment;
      if (const auto found = reading_.find(name); found != reading_.end()) return found->second;
      generation = generation_;
    }
    KS_ASSIGN_OR_RETURN(std::shared_ptr<Segment> made, MakeSegment(name, false));
    absl::MutexLock lock(&mutex_);
    if (generation_ != generation) continue;
    if (reading_.size() >= kMaxSegments) reading_.clear();
    return reading_.try_emplace(name, std::move(made)).first->second;
  }
}

absl::StatusOr<std::string> TenantCipher::Seal(const CompartmentId& compartment, ByteView aad,
                                               std::string_view plain) {
  KS_ASSIGN_OR_RETURN(const Writing writing, ToWrite(compartment));
  std::string out;
  out.reserve(plain.size() + kSealedOverhead);
  out.push_back(kFormat);
  PutNumber(out, writing.name.version, 2);
  out += AsChars(compartment.view());
  PutNumber(out, writing.name.segment, 8);
  absl::MutexLock lock(&writing.segment->mutex);
  const uint64_t counter = ++writing.segment->counter;
  PutNumber(out, counter, 8);
  KS_RETURN_IF_ERROR(writing.segment->aead.SealAppend(NonceOf(counter), aad, AsBytes(plain), out));
  return out;
}

absl::StatusOr<std::string> TenantCipher::Unseal(ByteView aad, std::string_view sealed) {
  if (sealed.size() < kSealedOverhead || static_cast<uint8_t>(sealed[0]) != kFormat)
    return absl::DataLossError("what is stored is not what was encrypted");
  SegmentName name;
  name.version = static_cast<uint16_t>(GetNumber(sealed.substr(1, 2)));
  KS_ASSIGN_OR_RETURN(name.compartment, CompartmentId::FromBytes(sealed.substr(3, CompartmentId::kSize)));
  name.segment = GetNumber(sealed.substr(11, 8));
  const uint64_t counter = GetNumber(sealed.substr(19, 8));
  const absl::StatusOr<std::shared_ptr<Segment>> found = ToRead(name);
  // NOT_FOUND would say that nothing is stored there, or that retention has taken it.
  if (absl::IsNotFound(found.status()))
    return absl::DataLossError("what is stored is under no key of this tenant: another's, or erased");
  KS_RETURN_IF_ERROR(found.status());
  const std::shared_ptr<Segment>& segment = *found;
  std::string out;
  out.reserve(sealed.size() - kSealedOverhead);
  absl::MutexLock lock(&segment->mutex);
  const absl::Status opened =
      segment->aead.OpenAppend(NonceOf(counter), aad, AsBytes(sealed.substr(kSealedHeaderBytes)), out);
  if (!opened.ok()) return absl::DataLossError("what is stored is not what was encrypted");
  return out;
}

void TenantCipher::Forget(const CompartmentId& compartment) {
  absl::MutexLock lock(&mutex_);
  ++generation_;
  writing_.erase(compartment);
  absl::erase_if(reading_, [&](const auto& entry) { return entry.first.compartment == compartment; });
}

}  // namespace keystead::backend::at_rest
