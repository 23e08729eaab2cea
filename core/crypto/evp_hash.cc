#include "core/crypto/evp_hash.h"

#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "core/base/status.h"
#include "core/crypto/openssl_ptr.h"

namespace keystead::crypto {
namespace {

absl::StatusOr<MdPtr> Fetch(const char* name) {
  ERR_clear_error();
  MdPtr md(EVP_MD_fetch(nullptr, name, nullptr));
  if (md != nullptr) return md;
  ERR_clear_error();
  return absl::NotFoundError("OpenSSL has no such hash");
}

}  // namespace

absl::StatusOr<Bytes> EvpHash(const char* name, ByteView data, size_t xof_bytes) {
  KS_ASSIGN_OR_RETURN(const MdPtr md, Fetch(name));
  const MdCtxPtr context(EVP_MD_CTX_new());
  Bytes out(xof_bytes != 0 ? xof_bytes : static_cast<size_t>(EVP_MD_get_size(md.get())));
  unsigned int size = 0;
  bool ok = context != nullptr && EVP_DigestInit_ex2(context.get(), md.get(), nullptr) == 1 &&
            EVP_DigestUpdate(context.get(), data.data(), data.size()) == 1;
  if (xof_bytes != 0) {
    ok = ok && EVP_DigestFinalXOF(context.get(), out.data(), out.size()) == 1;
  } else {
    ok = ok && EVP_DigestFinal_ex(context.get(), out.data(), &size) == 1 && size == out.size();
  }
  if (!ok) return OpenSslFailure("hashing failed");
  return out;
}

absl::StatusOr<SecretBytes> EvpHmac(const char* name, ByteView key, ByteView data) {
  KS_ASSIGN_OR_RETURN(const MdPtr md, Fetch(name));
  static constexpr uint8_t kNoKey = 0;  // a null key would mean "the one of before"
  int key_size = 0;
  if (!CheckedInt(key.size(), key_size)) return absl::InvalidArgumentError("HMAC key too long");
  std::array<uint8_t, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  if (HMAC(md.get(), key.empty() ? &kNoKey : key.data(), key_size, data.data(), data.size(), out.data(),
           &size) == nullptr) {
    return OpenSslFailure("HMAC failed");
  }
  SecretBytes result = SecretBytes::CopyOf(ByteView(out).first(size));
  SecureWipe(out.data(), out.size());
  return result;
}

absl::StatusOr<SecretBytes> EvpHkdfExtract(const char* name, ByteView salt, ByteView ikm) {
  return EvpHmac(name, salt, ikm);  // HMAC pads an empty key to the zero bytes the RFC asks for
}

absl::StatusOr<SecretBytes> EvpHkdfExpand(const char* name, const SecretBytes& prk, ByteView info,
                                          size_t length) {
  KS_ASSIGN_OR_RETURN(const MdPtr md, Fetch(name));
  if (length > 255 * static_cast<size_t>(EVP_MD_get_size(md.get()))) {
    return absl::InvalidArgumentError("HKDF output too long");
  }
  SecretBytes out(length);
  SecretBytes block;
  size_t done = 0;
  for (uint8_t i = 1; done < length; ++i) {
    SecretBytes input(block.size() + info.size() + 1);
    auto to =
        std::copy(block.ExposeSecret().begin(), block.ExposeSecret().end(), input.MutableSecret().begin());
    to = std::copy(info.begin(), info.end(), to);
    *to = i;
    KS_ASSIGN_OR_RETURN(block, EvpHmac(name, prk.ExposeSecret(), input.ExposeSecret()));
    const size_t take = std::min(block.size(), length - done);
    std::copy_n(block.ExposeSecret().begin(), take,
                out.MutableSecret().begin() + static_cast<ptrdiff_t>(done));
    done += take;
  }
  return out;
}

}  // namespace keystead::crypto
