#include "core/sealing/record_cipher.h"

#include <algorithm>

#include "core/base/mutants.h"
#include "core/cose/cbor.h"
#include "core/cose/encrypt0.h"
#include "core/crypto/errors.h"
#include "core/crypto/hkdf.h"

namespace keystead {
namespace {

// CBOR["ks1 rec", tenant, id, topic, sender, stream_id, epoch, seq] without its last item.
Bytes AadPrefix(const StreamPlace& place) {
  Bytes out;
  cose::CborWriter w(out);
  w.Array(8).Text("ks1 rec").Text(place.tenant.str());
  if (MutantActive(Mutant::kAadOmitsInstance)) {
    w.Null();
  } else {
    w.Bstr(place.id.view());
  }
  w.Text(place.topic.str()).Bstr(place.sender.view());
  if (MutantActive(Mutant::kAadOmitsStream)) {
    w.Null();
  } else {
    w.Bstr(place.stream.view());
  }
  w.Uint(place.epoch);
  return out;
}

}  // namespace

RecordCipher::RecordCipher(crypto::Aes256Gcm aead, const StreamPlace& place)
    : aead_(std::move(aead)), aad_(AadPrefix(place)), aad_prefix_(aad_.size()) {}

absl::StatusOr<RecordCipher> RecordCipher::Create(const SenderKey& key, const StreamPlace& place) {
  SecretBytes stream_secret;
  if (MutantActive(Mutant::kOneKeyForAll)) {
    stream_secret = SecretBytes(kSecretBytes);
  } else {
    KS_ASSIGN_OR_RETURN(
        stream_secret,
        crypto::HkdfExpand(key.secret(), cose::EncodeArray("ks1 stream", place.stream), kSecretBytes));
  }
  KS_ASSIGN_OR_RETURN(const SecretBytes aead_key,
                      crypto::HkdfExpand(stream_secret, "ks1 key", crypto::kAeadKeyBytes));
  KS_ASSIGN_OR_RETURN(const SecretBytes iv,
                      crypto::HkdfExpand(stream_secret, "ks1 iv", crypto::kAeadNonceBytes));
  KS_ASSIGN_OR_RETURN(const SecretBytes kid, crypto::HkdfExpand(stream_secret, "ks1 kid", kKidBytes));
  KS_ASSIGN_OR_RETURN(crypto::Aes256Gcm aead, crypto::Aes256Gcm::Create(aead_key));
  RecordCipher cipher(std::move(aead), place);
  std::ranges::copy(iv.ExposeSecret(), cipher.base_iv_.begin());
  std::ranges::copy(kid.ExposeSecret(), cipher.kid_.begin());
  return cipher;
}

crypto::AeadNonce RecordCipher::NonceFor(uint64_t sequence) const {
  crypto::AeadNonce nonce = base_iv_;
  if (MutantActive(Mutant::kConstantNonce)) return nonce;
  for (size_t i = 0; i < 8; ++i) nonce[11 - i] ^= static_cast<uint8_t>(sequence >> (8 * i));
  return nonce;
}

ByteView RecordCipher::AadFor(uint64_t sequence) {
  aad_.resize(aad_prefix_);
  cose::CborWriter(aad_).Uint(sequence);
  return aad_;
}

absl::Status RecordCipher::Seal(uint64_t sequence, ByteView plaintext, Bytes& out) {
  KS_RETURN_IF_ERROR(
      cose::AppendEncrypt0(aead_, NonceFor(sequence), kid_, sequence, AadFor(sequence), plaintext, out));
  if (MutantActive(Mutant::kNoSealing)) {
    const size_t at = out.size() - plaintext.size() - crypto::kAeadTagBytes;
    std::ranges::copy(plaintext, out.begin() + static_cast<ptrdiff_t>(at));
  }
  return absl::OkStatus();
}

absl::Status RecordCipher::OpenWith(ByteView aad, uint64_t sequence, ByteView record, Bytes& plaintext) {
  plaintext.clear();
  const absl::StatusOr<cose::Encrypt0View> view = cose::ParseEncrypt0(record);
  // From outside every failed open looks the same.
  if (!view.ok() || view->sequence != sequence || !Equal(view->kid, kid_)) return crypto::OpenFailed();
  if (MutantActive(Mutant::kNoSealing)) {
    if (view->ciphertext.size() < crypto::kAeadTagBytes) return crypto::OpenFailed();
    Append(plaintext, view->ciphertext.first(view->ciphertext.size() - crypto::kAeadTagBytes));
    return absl::OkStatus();
  }
  return cose::OpenEncrypt0(aead_, NonceFor(sequence), *view, aad, plaintext);
}

absl::Status RecordCipher::Open(uint64_t sequence, ByteView record, Bytes& plaintext) {
  return OpenWith(AadFor(sequence), sequence, record, plaintext);
}

absl::Status RecordCipher::OpenAs(const StreamPlace& claimed, uint64_t sequence, ByteView record,
                                  Bytes& plaintext) {
  Bytes aad = AadPrefix(claimed);
  cose::CborWriter(aad).Uint(sequence);
  return OpenWith(aad, sequence, record, plaintext);
}

}  // namespace keystead
