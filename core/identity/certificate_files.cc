#include "core/identity/certificate_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/file_access.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {

constexpr size_t kMaxChain = 8;
constexpr size_t kMaxRoots = 1024;

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return {status.code(), absl::StrCat(path, ": ", status.message())};
}

absl::StatusOr<CertificateInfo> Describe(X509* leaf, absl::Time now) {
  KS_ASSIGN_OR_RETURN(const std::vector<std::string> uris, x509::UriNames(leaf));
  if (uris.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("certificate has ", uris.size(), " URI names, must have exactly one"));
  }
  CertificateInfo info;
  KS_ASSIGN_OR_RETURN(info.id, SpiffeId::Parse(uris.front()));
  KS_ASSIGN_OR_RETURN(info.fingerprint, x509::Fingerprint(leaf));
  KS_ASSIGN_OR_RETURN(info.serial, x509::SerialHex(leaf));
  KS_ASSIGN_OR_RETURN(info.not_before, x509::ToTime(X509_get0_notBefore(leaf)));
  KS_ASSIGN_OR_RETURN(info.not_after, x509::ToTime(X509_get0_notAfter(leaf)));
  if (now > info.not_after) {
    return absl::FailedPreconditionError(absl::StrCat(
        "certificate expired at ", absl::FormatTime(absl::RFC3339_sec, info.not_after, absl::UTCTimeZone()),
        "; have a new one issued, or correct the clock"));
  }
  if (now < info.not_before) {
    return absl::FailedPreconditionError(
        absl::StrCat("certificate is not valid before ",
                     absl::FormatTime(absl::RFC3339_sec, info.not_before, absl::UTCTimeZone()),
                     "; correct the clock, or wait"));
  }
  return info;
}

}  // namespace

absl::StatusOr<CertificateInfo> ValidateCertificatePair(std::string_view chain_pem,
                                                        const SecretBytes& key_pem, absl::Time now) {
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> chain, x509::ParseCertificates(chain_pem, kMaxChain));
  KS_ASSIGN_OR_RETURN(const PkeyPtr key, x509::ParsePrivateKey(key_pem));
  KS_ASSIGN_OR_RETURN(CertificateInfo info, Describe(chain.front().get(), now));
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    x509::DrainErrors();
    return absl::FailedPreconditionError(
        "key does not match the certificate; use the two files that were issued together");
  }
  return info;
}

absl::StatusOr<CertificateInfo> ValidateCertificateFiles(const CertificateFiles& files, absl::Time now) {
  KS_ASSIGN_OR_RETURN(const std::string chain_pem, ReadTextFile(files.chain));
  KS_ASSIGN_OR_RETURN(const SecretBytes key_pem, ReadSecretFile(files.key));
  KS_ASSIGN_OR_RETURN(const std::string roots_pem, ReadTextFile(files.roots));
  // Each on its own first, so that the error names the file at fault.
  if (const auto parsed = x509::ParsePrivateKey(key_pem); !parsed.ok())
    return InFile(files.key, parsed.status());
  if (const auto parsed = x509::ParseCertificates(roots_pem, kMaxRoots); !parsed.ok()) {
    return InFile(files.roots, parsed.status());
  }
  absl::StatusOr<CertificateInfo> info = ValidateCertificatePair(chain_pem, key_pem, now);
  if (!info.ok()) return InFile(files.chain, info.status());
  return info;
}

absl::StatusOr<absl::Time> EarliestExpiry(std::string_view chain_pem) {
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> chain, x509::ParseCertificates(chain_pem, kMaxChain));
  absl::Time earliest = absl::InfiniteFuture();
  for (const X509Ptr& certificate : chain) {
    KS_ASSIGN_OR_RETURN(const absl::Time end, x509::ToTime(X509_get0_notAfter(certificate.get())));
    earliest = std::min(earliest, end);
  }
  return earliest;
}

absl::Status InstallCertificatePair(const CertificateFiles& files, std::string_view chain_pem,
                                    const SecretBytes& key_pem, absl::Time now) {
  KS_RETURN_IF_ERROR(ValidateCertificatePair(chain_pem, key_pem, now).status());
  KS_ASSIGN_OR_RETURN(PendingFile key,
                      PendingFile::Write(files.key, key_pem.ExposeSecret(), 0600, /*sync=*/true));
  KS_ASSIGN_OR_RETURN(PendingFile chain,
                      PendingFile::Write(files.chain, AsBytes(chain_pem), 0644, /*sync=*/true));
  KS_RETURN_IF_ERROR(key.Commit());
  return chain.Commit();
}

absl::Status InstallRoots(const CertificateFiles& files, std::string_view roots_pem) {
  KS_RETURN_IF_ERROR(x509::ParseCertificates(roots_pem, kMaxRoots).status());
  KS_ASSIGN_OR_RETURN(PendingFile roots,
                      PendingFile::Write(files.roots, AsBytes(roots_pem), 0644, /*sync=*/true));
  return roots.Commit();
}

}  // namespace keystead
