#include "core/identity/signer.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/certificate_files.h"
#include "core/identity/file_access.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {

constexpr size_t kMaxChain = 8;
constexpr size_t kMaxRoots = 64;

void FreeUnowned(STACK_OF(X509) * certificates) { sk_X509_free(certificates); }
using StorePtr = std::unique_ptr<X509_STORE, OpenSslDeleter<X509_STORE_free>>;
using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, OpenSslDeleter<X509_STORE_CTX_free>>;
using UnownedStackPtr = std::unique_ptr<STACK_OF(X509), OpenSslDeleter<FreeUnowned>>;

absl::Status VerifyPath(const std::vector<X509Ptr>& chain, const std::vector<X509Ptr>& roots, absl::Time at) {
  ERR_clear_error();
  const StorePtr store(X509_STORE_new());
  const StoreCtxPtr context(X509_STORE_CTX_new());
  const UnownedStackPtr above(sk_X509_new_null());
  bool ready = store != nullptr && context != nullptr && above != nullptr;
  for (const X509Ptr& root : roots) ready = ready && X509_STORE_add_cert(store.get(), root.get()) == 1;
  for (size_t i = 1; i < chain.size(); ++i) ready = ready && sk_X509_push(above.get(), chain[i].get()) > 0;
  ready = ready && X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), above.get()) == 1;
  if (!ready) return absl::InternalError(absl::StrCat("certificate path: ", x509::DrainErrors()));
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(at));
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return absl::UnauthenticatedError(absl::StrCat("the signer's certificate does not lead to the given CA: ",
                                                 X509_verify_cert_error_string(error)));
}

}  // namespace

absl::StatusOr<SigningIdentity> LoadSigningIdentity(const std::string& chain_file,
                                                    const std::string& key_file, absl::Time now) {
  SigningIdentity out;
  KS_ASSIGN_OR_RETURN(out.chain_pem, ReadTextFile(chain_file));
  KS_ASSIGN_OR_RETURN(const SecretBytes key_pem, ReadSecretFile(key_file));
  const absl::StatusOr<PkeyPtr> key = x509::ParsePrivateKey(key_pem);
  if (!key.ok())
    return absl::Status(key.status().code(), absl::StrCat(key_file, ": ", key.status().message()));
  const absl::StatusOr<CertificateInfo> info = ValidateCertificatePair(out.chain_pem, key_pem, now);
  if (!info.ok())
    return absl::Status(info.status().code(), absl::StrCat(chain_file, ": ", info.status().message()));
  out.id = info->id;
  KS_ASSIGN_OR_RETURN(out.key, x509::ToEcdsaPair(key->get()));
  return out;
}

absl::StatusOr<Signer> VerifySigner(std::string_view chain_pem, std::string_view roots_pem, absl::Time at) {
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> chain, x509::ParseCertificates(chain_pem, kMaxChain));
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> roots, x509::ParseCertificates(roots_pem, kMaxRoots));
  X509* const leaf = chain.front().get();
  KS_RETURN_IF_ERROR(VerifyPath(chain, roots, at));
  if (x509::IsCa(leaf)) return absl::UnauthenticatedError("the signer's certificate is that of a CA");
  KS_ASSIGN_OR_RETURN(const std::vector<std::string> uris, x509::UriNames(leaf));
  if (uris.size() != 1)
    return absl::InvalidArgumentError("the signer's certificate has not exactly one URI name");
  Signer out;
  KS_ASSIGN_OR_RETURN(out.id, SpiffeId::Parse(uris.front()));
  const PkeyPtr key(X509_get_pubkey(leaf));
  if (key == nullptr) return absl::InvalidArgumentError("the signer's certificate has no key");
  KS_ASSIGN_OR_RETURN(out.key, x509::ToEcdsa(key.get()));
  return out;
}

}  // namespace keystead
