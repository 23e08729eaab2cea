#include "core/identity/issuer.h"

#include <openssl/pem.h>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/file_access.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {

constexpr size_t kMaxAbove = 4;
constexpr int kSerialBits = 127;  // positive in 16 octets (RFC 5280, section 4.1.2.2)

absl::Status Failed(std::string_view what) {
  return absl::InternalError(absl::StrCat(Absl(what), ": ", x509::DrainErrors()));
}

absl::Status AddName(GENERAL_NAMES* names, int type, const std::string& value) {
  GeneralNamePtr name(GENERAL_NAME_new());
  if (name == nullptr) return Failed("subject alternative name");
  if (type == GEN_IPADD) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(value.c_str());
    if (address == nullptr) {
      x509::DrainErrors();
      return absl::InvalidArgumentError(absl::StrCat("not an IP address: ", value));
    }
    GENERAL_NAME_set0_value(name.get(), type, address);
  } else {
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    if (text == nullptr || ASN1_STRING_set(text, value.data(), static_cast<int>(value.size())) != 1) {
      ASN1_IA5STRING_free(text);
      return Failed("subject alternative name");
    }
    GENERAL_NAME_set0_value(name.get(), type, text);
  }
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0) return Failed("subject alternative name");
  [[maybe_unused]] const GENERAL_NAME* const of_names = name.release();
  return absl::OkStatus();
}

absl::Status AddNames(X509* certificate, const LeafRequest& request) {
  const GeneralNamesPtr names(GENERAL_NAMES_new());
  if (names == nullptr) return Failed("subject alternative names");
  KS_RETURN_IF_ERROR(AddName(names.get(), GEN_URI, request.id.str()));
  for (const std::string& uri : request.further_uris) KS_RETURN_IF_ERROR(AddName(names.get(), GEN_URI, uri));
  for (const std::string& dns : request.dns_names) KS_RETURN_IF_ERROR(AddName(names.get(), GEN_DNS, dns));
  for (const std::string& ip : request.ip_addresses) KS_RETURN_IF_ERROR(AddName(names.get(), GEN_IPADD, ip));
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND) != 1) {
    return Failed("subject alternative names");
  }
  return absl::OkStatus();
}

absl::Status AddExtensions(X509* certificate, X509* ca, const LeafRequest& request) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, ca, certificate, nullptr, nullptr, 0);
  const std::pair<int, const char*> wanted[] = {
      {NID_basic_constraints, "critical,CA:FALSE"},
      {NID_key_usage, "critical,digitalSignature"},
      {NID_ext_key_usage, request.server ? "serverAuth,clientAuth" : "clientAuth"},
      {NID_subject_key_identifier, "hash"},
      {NID_authority_key_identifier, "keyid"},
  };
  for (const auto& [nid, value] : wanted) {
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
    if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1)
      return Failed("extension");
  }
  return AddNames(certificate, request);
}

absl::Status FillIn(X509* certificate, X509* ca, EVP_PKEY* subject_key, const LeafRequest& request) {
  const BignumPtr serial(BN_new());
  if (serial == nullptr || BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return Failed("serial number");
  }
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(request.not_before)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(request.not_after)) == nullptr) {
    return Failed("validity");
  }
  // The common name is for people who read a listing; 64 characters are its upper bound and that of <id>.
  const auto* common_name = reinterpret_cast<const unsigned char*>(request.id.id().data());
  if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
      X509_set_issuer_name(certificate, X509_get_subject_name(ca)) != 1 ||
      X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                                 common_name, static_cast<int>(request.id.id().size()), -1, 0) != 1 ||
      X509_set_pubkey(certificate, subject_key) != 1) {
    return Failed("certificate fields");
  }
  return AddExtensions(certificate, ca, request);
}

absl::StatusOr<std::string> ToPem(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (out == nullptr || PEM_write_bio_X509(out.get(), certificate) != 1) return Failed("certificate");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

struct CertificateIssuer::State {
  X509Ptr ca;
  PkeyPtr key;
  std::string above_pem;
};

CertificateIssuer::CertificateIssuer(std::unique_ptr<State> state) : state_(std::move(state)) {}
CertificateIssuer::CertificateIssuer(CertificateIssuer&&) noexcept = default;
CertificateIssuer& CertificateIssuer::operator=(CertificateIssuer&&) noexcept = default;
CertificateIssuer::~CertificateIssuer() = default;

absl::StatusOr<CertificateIssuer> CertificateIssuer::Create(std::string_view ca_pem,
                                                            const SecretBytes& ca_key_pem,
                                                            std::string_view above_pem) {
  auto state = std::make_unique<State>();
  KS_ASSIGN_OR_RETURN(std::vector<X509Ptr> ca, x509::ParseCertificates(ca_pem, 1));
  state->ca = std::move(ca.front());
  KS_ASSIGN_OR_RETURN(state->key, x509::ParsePrivateKey(ca_key_pem));
  if (!x509::IsCa(state->ca.get())) return absl::InvalidArgumentError("not a CA certificate");
  if (X509_check_private_key(state->ca.get(), state->key.get()) != 1) {
    x509::DrainErrors();
    return absl::FailedPreconditionError("key does not match the CA certificate");
  }
  if (!above_pem.empty()) {
    KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> above, x509::ParseCertificates(above_pem, kMaxAbove));
    if (X509_check_private_key(above.front().get(), state->key.get()) != 1) {
      x509::DrainErrors();
      return absl::FailedPreconditionError("the first certificate above the leaves is not over the CA's key");
    }
    for (const X509Ptr& certificate : above) {
      KS_ASSIGN_OR_RETURN(const std::string pem, ToPem(certificate.get()));
      state->above_pem += pem;
    }
  }
  return CertificateIssuer(std::move(state));
}

absl::StatusOr<CertificateIssuer> CertificateIssuer::Load(const Files& files) {
  KS_ASSIGN_OR_RETURN(const std::string ca, ReadTextFile(files.ca));
  KS_ASSIGN_OR_RETURN(const SecretBytes key, ReadSecretFile(files.key));
  std::string above;
  if (!files.above.empty()) {
    KS_ASSIGN_OR_RETURN(above, ReadTextFile(files.above));
  }
  absl::StatusOr<CertificateIssuer> out = Create(ca, key, above);
  if (!out.ok())
    return absl::Status(out.status().code(), absl::StrCat(files.ca, ": ", out.status().message()));
  return out;
}

absl::StatusOr<IssuedLeaf> CertificateIssuer::Issue(const LeafRequest& request) const {
  const PkeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Failed("key generation");
  KS_ASSIGN_OR_RETURN(IssuedLeaf leaf, IssueOver(request, key.get()));
  KS_ASSIGN_OR_RETURN(leaf.key_pem, x509::PrivateKeyToPem(key.get()));
  return leaf;
}

absl::StatusOr<IssuedLeaf> CertificateIssuer::IssueFor(const LeafRequest& request,
                                                       std::string_view public_key_pem) const {
  KS_ASSIGN_OR_RETURN(const PkeyPtr key, x509::ParsePublicKey(public_key_pem));
  if (!x509::IsP256(key.get())) return absl::InvalidArgumentError("the key must be on P-256");
  return IssueOver(request, key.get());
}

absl::StatusOr<IssuedLeaf> CertificateIssuer::IssueOver(const LeafRequest& request,
                                                        EVP_PKEY* subject_key) const {
  if (request.not_after <= request.not_before)
    return absl::InvalidArgumentError("validity ends before it begins");
  const X509Ptr certificate(X509_new());
  if (certificate == nullptr) return Failed("certificate");
  KS_RETURN_IF_ERROR(FillIn(certificate.get(), state_->ca.get(), subject_key, request));
  if (X509_sign(certificate.get(), state_->key.get(), EVP_sha256()) <= 0) return Failed("signature");
  IssuedLeaf leaf;
  KS_ASSIGN_OR_RETURN(leaf.chain_pem, ToPem(certificate.get()));
  KS_ASSIGN_OR_RETURN(leaf.serial, x509::SerialHex(certificate.get()));
  leaf.chain_pem += state_->above_pem;
  return leaf;
}

bool CertificateIssuer::HasIssued(std::string_view chain_pem) const {
  const absl::StatusOr<std::vector<X509Ptr>> chain = x509::ParseCertificates(chain_pem, 8);
  return chain.ok() && x509::IsSignedBy(chain->front().get(), state_->key.get());
}

}  // namespace keystead
