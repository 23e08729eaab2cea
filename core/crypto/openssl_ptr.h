// Owning handles for OpenSSL objects, and the two small rules of calling it. Internal to core/crypto.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <limits>
#include <memory>

#include "absl/status/status.h"

namespace keystead::crypto {

template <auto Free>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};

using MdPtr = std::unique_ptr<EVP_MD, OpenSslDeleter<EVP_MD_free>>;
using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, OpenSslDeleter<EVP_MD_CTX_free>>;
using CipherCtxPtr = std::unique_ptr<EVP_CIPHER_CTX, OpenSslDeleter<EVP_CIPHER_CTX_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, OpenSslDeleter<EVP_PKEY_CTX_free>>;
using BnPtr = std::unique_ptr<BIGNUM, OpenSslDeleter<BN_clear_free>>;
using BnCtxPtr = std::unique_ptr<BN_CTX, OpenSslDeleter<BN_CTX_free>>;
using EcGroupPtr = std::unique_ptr<EC_GROUP, OpenSslDeleter<EC_GROUP_free>>;
using EcPointPtr = std::unique_ptr<EC_POINT, OpenSslDeleter<EC_POINT_clear_free>>;
using ParamBldPtr = std::unique_ptr<OSSL_PARAM_BLD, OpenSslDeleter<OSSL_PARAM_BLD_free>>;
using ParamPtr = std::unique_ptr<OSSL_PARAM, OpenSslDeleter<OSSL_PARAM_free>>;

// OpenSSL counts in int. False when `size` does not fit; the one place where it is narrowed.
inline bool CheckedInt(size_t size, int& out) {
  if (size > static_cast<size_t>(std::numeric_limits<int>::max())) return false;
  out = static_cast<int>(size);
  return true;
}

// A call that cannot fail because of input did: our bug or no memory. Drains the error queue.
inline absl::Status OpenSslFailure(const char* what) {
  ERR_clear_error();
  return absl::InternalError(what);
}

}  // namespace keystead::crypto
