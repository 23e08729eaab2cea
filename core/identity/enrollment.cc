#include "core/identity/enrollment.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cose/sign1.h"
#include "core/identity/file_access.h"
#include "core/identity/x509.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {

constexpr std::string_view kTyp = "ks1/enroll";

absl::Status Failed(std::string_view what) {
  return absl::InternalError(absl::StrCat(Absl(what), ": ", x509::DrainErrors()));
}

// PKCS #10 over a key, signed by that key, with nothing else in it.
absl::StatusOr<Bytes> MakeCsr(EVP_PKEY* key) {
  const X509ReqPtr csr(X509_REQ_new());
  if (csr == nullptr || X509_REQ_set_version(csr.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(csr.get(), key) != 1 || X509_REQ_sign(csr.get(), key, EVP_sha256()) <= 0)
    return Failed("certificate request");
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(csr.get(), &der);
  if (size <= 0) return Failed("certificate request");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

// The key of a PKCS #10 request that shows that its sender holds it.
absl::StatusOr<std::string> KeyOfCsr(ByteView der) {
  const unsigned char* at = der.data();
  const X509ReqPtr csr(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (csr == nullptr || at != der.data() + der.size()) {
    x509::DrainErrors();
    return absl::InvalidArgumentError("not one PKCS #10 request");
  }
  const PkeyPtr key(X509_REQ_get_pubkey(csr.get()));
  if (key == nullptr || !x509::IsP256(key.get())) {
    x509::DrainErrors();
    return absl::InvalidArgumentError("the new key must be on P-256");
  }
  if (X509_REQ_verify(csr.get(), key.get()) != 1) {
    x509::DrainErrors();
    return absl::UnauthenticatedError("the new key did not sign its request");
  }
  return x509::PublicKeyToPem(key.get());
}

absl::Status Refused(const Principal& factory, const absl::Status& why) {
  Report({.kind = SecurityEventKind::kPeerRefused,
          .tenant = factory.tenant().str(),
          .peer = factory.uri(),
          .detail = absl::StrCat("enrollment: ", why.message())});
  return why;
}

// A certificate and what follows it in a chain.
struct Shown {
  std::string leaf;
  std::string above;
};
absl::StatusOr<Shown> Split(std::string_view chain) {
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  const size_t end = chain.find(kEnd);
  if (end == std::string_view::npos) return absl::InvalidArgumentError("no certificate in the chain");
  return Shown{absl::StrCat(Absl(chain.substr(0, end + kEnd.size())), "\n"),
               std::string(chain.substr(end + kEnd.size()))};
}

}  // namespace

absl::StatusOr<SpiffeId> EnrolleeOf(const SpiffeId& factory) {
  const std::string_view name = factory.id();
  const size_t dot = name.find('.');
  if (factory.role() == Role::kFactory && dot != std::string_view::npos) {
    const std::optional<Role> role = RoleFromName(name.substr(0, dot));
    if (role == Role::kDevice || role == Role::kGateway)
      return SpiffeId::Of(factory.tenant(), *role, name.substr(dot + 1));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(factory.str(), " is no factory identity of a device or gateway"));
}

absl::StatusOr<PreparedEnrollment> PrepareEnrollment(const CertificateFiles& factory, absl::Time now) {
  PreparedEnrollment out;
  KS_ASSIGN_OR_RETURN(out.request.factory_chain, ReadTextFile(factory.chain));
  KS_ASSIGN_OR_RETURN(const SecretBytes factory_pem, ReadSecretFile(factory.key));
  absl::StatusOr<CertificateInfo> info = ValidateCertificatePair(out.request.factory_chain, factory_pem, now);
  if (!info.ok())
    return absl::Status(info.status().code(), absl::StrCat(factory.chain, ": ", info.status().message()));
  absl::StatusOr<SpiffeId> enrollee = EnrolleeOf(info->id);
  if (!enrollee.ok())
    return absl::Status(enrollee.status().code(),
                        absl::StrCat(factory.chain, ": ", enrollee.status().message()));
  out.enrollee = *std::move(enrollee);

  const PkeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Failed("key generation");
  KS_ASSIGN_OR_RETURN(out.key_pem, x509::PrivateKeyToPem(key.get()));
  KS_ASSIGN_OR_RETURN(const Bytes csr, MakeCsr(key.get()));
  KS_ASSIGN_OR_RETURN(const PkeyPtr factory_key, x509::ParsePrivateKey(factory_pem));
  KS_ASSIGN_OR_RETURN(const crypto::EcdsaKeyPair signer, x509::ToEcdsaPair(factory_key.get()));
  KS_ASSIGN_OR_RETURN(out.request.proof, cose::SignSign1(signer, kTyp, csr, info->fingerprint.view()));
  return out;
}

absl::StatusOr<CertificateInfo> CheckEnrolled(const PreparedEnrollment& prepared, std::string_view chain_pem,
                                              absl::Time now) {
  KS_ASSIGN_OR_RETURN(CertificateInfo info, ValidateCertificatePair(chain_pem, prepared.key_pem, now));
  if (info.id != prepared.enrollee)
    return absl::UnauthenticatedError(
        absl::StrCat("the certificate is for ", info.id.str(), ", not for ", prepared.enrollee.str()));
  // The cross-certificate beside the factory certificate holds the key of the tenant's CA; that it is the one
  // is shown by the factory certificate, which bears its signature.
  KS_ASSIGN_OR_RETURN(const Shown factory, Split(prepared.request.factory_chain));
  TenantDirectory directory;
  KS_RETURN_IF_ERROR(directory.Register(info.id.tenant(), factory.above));
  const DenyList nobody;
  const ManualClock clock(now);
  const PrincipalResolver resolver(&directory, &nobody, &clock, 0);
  KS_RETURN_IF_ERROR(resolver.Resolve(factory.leaf).status());
  KS_ASSIGN_OR_RETURN(const Shown enrolled, Split(chain_pem));
  KS_RETURN_IF_ERROR(resolver.Resolve(enrolled.leaf, enrolled.above).status());
  return info;
}

absl::StatusOr<Enrollee> VerifyEnrollment(const EnrollmentRequest& request,
                                          const PrincipalResolver& resolver) {
  if (request.factory_chain.size() > kMaxFactoryChainBytes || request.proof.size() > kMaxEnrollmentProofBytes)
    return absl::InvalidArgumentError("an enrollment request larger than the limit");
  KS_ASSIGN_OR_RETURN(const Shown shown, Split(request.factory_chain));
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> certificates, x509::ParseCertificates(shown.leaf, 1));
  Enrollee out;
  // Without the rest of its chain: a factory identity below an enrollment CA counts for nothing.
  KS_ASSIGN_OR_RETURN(out.factory, resolver.Resolve(shown.leaf));
  absl::StatusOr<SpiffeId> id = EnrolleeOf(out.factory->id());
  if (!id.ok()) return Refused(*out.factory, absl::UnauthenticatedError(id.status().message()));
  out.id = *std::move(id);
  if (resolver.IsDeniedName(out.id))
    return Refused(*out.factory, absl::UnauthenticatedError("the name is on the deny list"));

  const PkeyPtr key(X509_get_pubkey(certificates.front().get()));
  KS_ASSIGN_OR_RETURN(const crypto::EcdsaPublicKey signer, x509::ToEcdsa(key.get()));
  const absl::StatusOr<ByteView> csr =
      cose::OpenSign1(request.proof, signer, kTyp, out.factory->fingerprint().view());
  if (!csr.ok()) return Refused(*out.factory, csr.status());
  absl::StatusOr<std::string> key_pem = KeyOfCsr(*csr);
  if (!key_pem.ok()) return Refused(*out.factory, key_pem.status());
  out.public_key_pem = *std::move(key_pem);
  return out;
}

}  // namespace keystead
