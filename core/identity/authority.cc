#include "core/identity/authority.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {

constexpr size_t kMaxCommonName = 64;
constexpr int kSerialBits = 127;

absl::Status Failed(std::string_view what) {
  return absl::InternalError(absl::StrCat(Absl(what), ": ", x509::DrainErrors()));
}

absl::Status AddExtensions(X509* certificate, X509* issuer, const TenantName& tenant) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  const bool admits = tenant == TenantName();  // the admission CA: of no tenant, and above all
  const std::string constraint = absl::StrCat("critical,permitted;URI:", tenant.str());
  std::vector<std::pair<int, const char*>> wanted = {
      {NID_basic_constraints, admits ? "critical,CA:TRUE,pathlen:2" : "critical,CA:TRUE,pathlen:1"},
      {NID_key_usage, "critical,keyCertSign,cRLSign"},
      {NID_subject_key_identifier, "hash"}};
  if (!admits) wanted.emplace_back(NID_name_constraints, constraint.c_str());
  if (issuer != certificate) wanted.emplace_back(NID_authority_key_identifier, "keyid");
  for (const auto& [nid, value] : wanted) {
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
    if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1)
      return Failed("extension");
  }
  return absl::OkStatus();
}

struct Parts {
  EVP_PKEY* subject_key = nullptr;
  X509* issuer = nullptr;  // null: itself
  EVP_PKEY* issuer_key = nullptr;
};

absl::StatusOr<std::string> Make(const TenantName& tenant, absl::Time not_after, const Parts& parts) {
  const X509Ptr certificate(X509_new());
  const BignumPtr serial(BN_new());
  if (certificate == nullptr || serial == nullptr ||
      BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) == nullptr)
    return Failed("serial number");
  const std::string name = tenant == TenantName()
                               ? "admission CA"
                               : absl::StrCat(tenant.str(), " tenant CA").substr(0, kMaxCommonName);
  const auto* text = reinterpret_cast<const unsigned char*>(name.data());
  X509* const self = certificate.get();
  if (X509_set_version(self, X509_VERSION_3) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(self), absl::ToTimeT(absl::Now() - absl::Minutes(5))) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(self), absl::ToTimeT(not_after)) == nullptr ||
      X509_NAME_add_entry_by_NID(X509_get_subject_name(self), NID_commonName, MBSTRING_UTF8, text,
                                 static_cast<int>(name.size()), -1, 0) != 1 ||
      X509_set_issuer_name(self, X509_get_subject_name(parts.issuer == nullptr ? self : parts.issuer)) != 1 ||
      X509_set_pubkey(self, parts.subject_key) != 1)
    return Failed("certificate fields");
  KS_RETURN_IF_ERROR(AddExtensions(self, parts.issuer == nullptr ? self : parts.issuer, tenant));
  if (X509_sign(self, parts.issuer_key, EVP_sha256()) <= 0) return Failed("signature");
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (out == nullptr || PEM_write_bio_X509(out.get(), self) != 1) return Failed("certificate");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

absl::StatusOr<Authority> MakeAdmissionAuthority(absl::Time not_after) {
  return MakeTenantAuthority(TenantName(), not_after);
}

absl::StatusOr<Authority> MakeTenantAuthority(const TenantName& tenant, absl::Time not_after) {
  const PkeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Failed("key generation");
  Authority out;
  KS_ASSIGN_OR_RETURN(out.key_pem, x509::PrivateKeyToPem(key.get()));
  KS_ASSIGN_OR_RETURN(out.ca_pem, Make(tenant, not_after, {key.get(), nullptr, key.get()}));
  return out;
}

absl::StatusOr<std::string> CrossSign(const Authority& admission, std::string_view ca_pem,
                                      const TenantName& tenant, absl::Time not_after) {
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> issuer, x509::ParseCertificates(admission.ca_pem, 1));
  KS_ASSIGN_OR_RETURN(const PkeyPtr issuer_key, x509::ParsePrivateKey(admission.key_pem));
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> subject, x509::ParseCertificates(ca_pem, 1));
  const PkeyPtr subject_key(X509_get_pubkey(subject.front().get()));
  if (subject_key == nullptr) return Failed("public key");
  return Make(tenant, not_after, {subject_key.get(), issuer.front().get(), issuer_key.get()});
}

}  // namespace keystead
