#include "core/identity/denied_servers.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/identity/deny_list_text.h"
#include "core/identity/file_access.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {

constexpr size_t kMaxChain = 8;

absl::StatusOr<std::map<TenantName, DenyList::Entries>> Read(const std::string& path,
                                                             const std::optional<TenantName>& own) {
  KS_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  return ParseDenyList(text, path, own);
}

absl::StatusOr<bool> Names(const DenyList::Entries& entries, const SpiffeId& id, std::string_view leaf_pem,
                           std::string_view chain_pem) {
  if (entries.names.contains(absl::StrCat(Absl(RoleName(id.role())), "/", id.id()))) return true;
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> leaf, x509::ParseCertificates(leaf_pem, 1));
  KS_ASSIGN_OR_RETURN(const std::string serial, x509::SerialHex(leaf.front().get()));
  KS_ASSIGN_OR_RETURN(const Digest fingerprint, x509::Fingerprint(leaf.front().get()));
  if (entries.serials.contains(serial) || entries.fingerprints.contains(fingerprint)) return true;
  if (entries.issuers.empty()) return false;
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> chain, x509::ParseCertificates(chain_pem, kMaxChain));
  for (const X509Ptr& certificate : chain) {
    const PkeyPtr key(X509_get_pubkey(certificate.get()));
    if (key == nullptr) return absl::InvalidArgumentError("a certificate without a key");
    KS_ASSIGN_OR_RETURN(const Digest key_id, x509::KeyId(key.get()));
    if (entries.issuers.contains(key_id)) return true;
  }
  return false;
}

}  // namespace

absl::Status CheckServerIsNotDenied(const std::string& path, const SpiffeId& id, std::string_view leaf_pem,
                                    std::string_view chain_pem) {
  if (MutantActive(Mutant::kRevocationIgnored)) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const auto lists, Read(path, id.tenant()));
  const auto list = lists.find(id.tenant());
  if (list == lists.end()) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const bool denied, Names(list->second, id, leaf_pem, chain_pem));
  return denied ? absl::PermissionDeniedError("the server is on the deny list") : absl::OkStatus();
}

absl::Status CheckDeniedServersFile(const std::string& path) {
  const absl::StatusOr<TenantName> anybody = TenantName::Parse("anybody.example");
  KS_RETURN_IF_ERROR(anybody.status());
  return Read(path, *anybody).status();
}

}  // namespace keystead
