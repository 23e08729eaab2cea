#include "core/cose/encrypt0.h"

#include <algorithm>
#include <array>

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_numbers.h"
#include "core/crypto/errors.h"

namespace keystead::cose {
namespace {

constexpr std::array<uint8_t, 3> kProtected = {0xa1, 0x01, 0x03};  // {1: 3}
constexpr size_t kKeptScratchBytes = 1024;

void WriteEncStructure(CborWriter& w, std::string_view context, ByteView protected_bytes,
                       ByteView external_aad) {
  const bool empty = protected_bytes.size() == 1 && protected_bytes[0] == 0xa0;
  w.Array(3).Text(context).Bstr(empty ? ByteView() : protected_bytes).Bstr(external_aad);
}

// One buffer per thread, so that a record costs no allocation beyond its own bytes. Holds public bytes only.
ByteView ScratchEncStructure(ByteView protected_bytes, ByteView external_aad) {
  thread_local Bytes scratch;
  scratch.clear();
  if (scratch.capacity() > kKeptScratchBytes) scratch.shrink_to_fit();
  scratch.reserve(std::min(external_aad.size(), kKeptScratchBytes) + 32);
  CborWriter w(scratch);
  WriteEncStructure(w, "Encrypt0", protected_bytes, external_aad);
  return scratch;
}

struct PartialIv {
  std::array<uint8_t, kMaxPartialIvBytes> bytes{};
  size_t start = kMaxPartialIvBytes - 1;
  ByteView view() const { return ByteView(bytes).subspan(start); }
};

PartialIv EncodePartialIv(uint64_t sequence) {
  PartialIv out;
  for (size_t i = 0; i < kMaxPartialIvBytes; ++i) {
    out.bytes[kMaxPartialIvBytes - 1 - i] = static_cast<uint8_t>(sequence >> (8 * i));
    if (out.bytes[kMaxPartialIvBytes - 1 - i] != 0) out.start = kMaxPartialIvBytes - 1 - i;
  }
  return out;
}

size_t HeadSize(size_t argument) {
  if (argument < 24) return 1;
  if (argument <= UINT8_MAX) return 2;
  if (argument <= UINT16_MAX) return 3;
  return argument <= UINT32_MAX ? 5 : 9;
}

size_t PrefixSize(size_t kid_bytes, size_t partial_iv_bytes) {
  // array, protected, map, key 4, kid, key 6, Partial IV
  return 1 + 1 + kProtected.size() + 1 + 1 + HeadSize(kid_bytes) + kid_bytes + 1 + 1 + partial_iv_bytes;
}

template <class Buffer>
absl::Status AppendTo(crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, ByteView kid,
                      uint64_t sequence, ByteView external_aad, ByteView plaintext, Buffer& out) {
  if (kid.empty() || kid.size() > kMaxKidBytes)
    return absl::InvalidArgumentError("COSE kid has 1 to 64 bytes");
  const PartialIv partial_iv = EncodePartialIv(sequence);
  const size_t sealed_bytes = plaintext.size() + crypto::kAeadTagBytes;
  thread_local Bytes prefix;
  prefix.clear();
  CborWriter w(prefix);
  w.Array(3).Bstr(kProtected).Map(2).Int(kHeaderKid).Bstr(kid).Int(kHeaderPartialIv).Bstr(partial_iv.view());
  w.BstrHead(sealed_bytes);
  const size_t before = out.size();
  out.resize(before + prefix.size() + sealed_bytes);
  uint8_t* const to = reinterpret_cast<uint8_t*>(out.data()) + before;
  std::copy(prefix.begin(), prefix.end(), to);
  absl::Status status = aead.SealInto(nonce, ScratchEncStructure(kProtected, external_aad), plaintext,
                                      {to + prefix.size(), sealed_bytes});
  if (!status.ok()) out.resize(before);
  return status;
}

}  // namespace

Bytes EncStructure(std::string_view context, ByteView protected_bytes, ByteView external_aad) {
  Bytes out;
  out.reserve(32 + protected_bytes.size() + external_aad.size());
  CborWriter w(out);
  WriteEncStructure(w, context, protected_bytes, external_aad);
  return out;
}

size_t Encrypt0Size(size_t kid_bytes, uint64_t sequence, size_t plaintext_bytes) {
  const size_t sealed = plaintext_bytes + crypto::kAeadTagBytes;
  return PrefixSize(kid_bytes, EncodePartialIv(sequence).view().size()) + HeadSize(sealed) + sealed;
}

absl::StatusOr<Encrypt0View> ParseEncrypt0(ByteView object) {
  CborReader reader(object);
  Encrypt0View out{};
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(out.protected_bytes, reader.ReadBytes());
  if (!std::equal(out.protected_bytes.begin(), out.protected_bytes.end(), kProtected.begin(),
                  kProtected.end())) {
    return absl::InvalidArgumentError("COSE_Encrypt0: protected header is not {1: 3}");
  }
  KS_RETURN_IF_ERROR(reader.ReadMapOf(2));
  KS_RETURN_IF_ERROR(reader.ExpectInt(kHeaderKid));
  KS_ASSIGN_OR_RETURN(out.kid, reader.ReadBytes());
  KS_RETURN_IF_ERROR(reader.ExpectInt(kHeaderPartialIv));
  KS_ASSIGN_OR_RETURN(out.partial_iv, reader.ReadBytes());
  KS_ASSIGN_OR_RETURN(out.ciphertext, reader.ReadBytes());
  KS_RETURN_IF_ERROR(reader.Finish());
  if (out.kid.empty() || out.kid.size() > kMaxKidBytes) {
    return absl::InvalidArgumentError("COSE_Encrypt0: kid has 1 to 64 bytes");
  }
  if (out.partial_iv.empty() || out.partial_iv.size() > kMaxPartialIvBytes ||
      (out.partial_iv.size() > 1 && out.partial_iv[0] == 0)) {
    return absl::InvalidArgumentError("COSE_Encrypt0: Partial IV is not a minimal number of 1 to 8 bytes");
  }
  if (out.ciphertext.size() < crypto::kAeadTagBytes) {
    return absl::InvalidArgumentError("COSE_Encrypt0: ciphertext is shorter than a tag");
  }
  for (const uint8_t byte : out.partial_iv) out.sequence = (out.sequence << 8) | byte;
  return out;
}

absl::Status AppendEncrypt0(crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, ByteView kid,
                            uint64_t sequence, ByteView external_aad, ByteView plaintext, Bytes& out) {
  return AppendTo(aead, nonce, kid, sequence, external_aad, plaintext, out);
}

absl::Status AppendEncrypt0(crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, ByteView kid,
                            uint64_t sequence, ByteView external_aad, ByteView plaintext, std::string& out) {
  return AppendTo(aead, nonce, kid, sequence, external_aad, plaintext, out);
}

absl::Status OpenEncrypt0(crypto::Aes256Gcm& aead, const crypto::AeadNonce& nonce, const Encrypt0View& object,
                          ByteView external_aad, Bytes& out) {
  return aead.OpenAppend(nonce, ScratchEncStructure(object.protected_bytes, external_aad), object.ciphertext,
                         out);
}

}  // namespace keystead::cose
