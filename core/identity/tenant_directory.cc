#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cose/sign1.h"
#include "core/identity/file_access.h"
#include "core/identity/principal.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {
constexpr size_t kMaxKeysPerTenant = 8;
}

// static
absl::StatusOr<std::vector<TenantDirectory::Entry>> TenantDirectory::ParseKeys(std::string_view ca_pem) {
  KS_ASSIGN_OR_RETURN(const std::vector<X509Ptr> certificates,
                      x509::ParseCertificates(ca_pem, kMaxKeysPerTenant));
  std::vector<Entry> entries;
  for (const X509Ptr& certificate : certificates) {
    if (!x509::IsCa(certificate.get())) return absl::InvalidArgumentError("not a CA certificate");
    PkeyPtr key(X509_get_pubkey(certificate.get()));
    if (key == nullptr || !x509::IsP256(key.get())) {
      x509::DrainErrors();
      return absl::InvalidArgumentError("a CA key must be on P-256");
    }
    KS_ASSIGN_OR_RETURN(const Digest key_id, x509::KeyId(key.get()));
    entries.push_back({std::make_shared<PublicKey>(std::move(key)), key_id});
  }
  return entries;
}

TenantDirectory::TenantDirectory() = default;
TenantDirectory::~TenantDirectory() = default;

absl::Status TenantDirectory::Register(const TenantName& tenant, std::string_view ca_pem) {
  if (tenant == TenantName()) return absl::InvalidArgumentError("a CA needs a tenant to be registered for");
  KS_ASSIGN_OR_RETURN(std::vector<Entry> entries, ParseKeys(ca_pem));
  absl::MutexLock lock(&mutex_);
  if (tenant == provider_)
    return absl::AlreadyExistsError(absl::StrCat(tenant.str(), " is the provider's own name"));
  keys_[tenant] = std::move(entries);
  ++generation_;
  return absl::OkStatus();
}

absl::Status TenantDirectory::RegisterProvider(const TenantName& provider, std::string_view ca_pem) {
  KS_RETURN_IF_ERROR(Register(provider, ca_pem));
  absl::MutexLock lock(&mutex_);
  provider_ = provider;
  return absl::OkStatus();
}

bool TenantDirectory::IsProvider(const TenantName& name) const {
  absl::ReaderMutexLock lock(&mutex_);
  return name != TenantName() && name == provider_;
}

void TenantDirectory::Remove(const TenantName& tenant) {
  absl::MutexLock lock(&mutex_);
  keys_.erase(tenant);
  ++generation_;
}

bool TenantDirectory::Contains(const TenantName& tenant) const {
  absl::ReaderMutexLock lock(&mutex_);
  return keys_.contains(tenant);
}

std::vector<TenantName> TenantDirectory::Tenants() const {
  std::vector<TenantName> out;
  {
    absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [tenant, keys] : keys_) {
      if (tenant != provider_) out.push_back(tenant);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

absl::Status TenantDirectory::LoadFolder(const std::string& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> folders;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    // A name that begins with a dot is one that is still being written (certs/README.md).
    if (it->path().filename().string().starts_with('.')) continue;
    if (std::filesystem::exists(it->path() / "ca.pem", error)) folders.push_back(it->path());
  }
  if (error) return absl::NotFoundError(absl::StrCat(directory, ": ", error.message()));
  if (folders.empty()) return absl::NotFoundError(absl::StrCat(directory, ": no <tenant>/ca.pem in it"));
  std::sort(folders.begin(), folders.end());
  for (const std::filesystem::path& folder : folders) {
    const std::string path = (folder / "ca.pem").string();
    const auto in_file = [&path](const absl::Status& status) {
      return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
    };
    const absl::StatusOr<TenantName> tenant = TenantName::Parse(folder.filename().string());
    if (!tenant.ok()) return in_file(tenant.status());
    KS_ASSIGN_OR_RETURN(const std::string pem, ReadTextFile(path));
    if (const absl::Status status = Register(*tenant, pem); !status.ok()) return in_file(status);
  }
  return absl::OkStatus();
}

std::vector<TenantDirectory::Entry> TenantDirectory::KeysOf(const TenantName& tenant) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = keys_.find(tenant);
  return found == keys_.end() ? std::vector<Entry>() : found->second;
}

absl::StatusOr<ByteView> TenantDirectory::OpenSigned(const TenantName& tenant, ByteView object,
                                                     std::string_view typ) const {
  KS_RETURN_IF_ERROR(cose::ParseSign1(object).status());
  for (const Entry& entry : KeysOf(tenant)) {
    KS_ASSIGN_OR_RETURN(const crypto::EcdsaPublicKey key, x509::ToEcdsa(entry.key->get()));
    absl::StatusOr<ByteView> payload = cose::OpenSign1(object, key, typ, {});
    if (payload.ok()) return payload;
  }
  return absl::UnauthenticatedError("no key of the tenant signed this");
}

bool TenantDirectory::HasKey(const TenantName& tenant, const Digest& key_id) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = keys_.find(tenant);
  return found != keys_.end() && std::any_of(found->second.begin(), found->second.end(),
                                             [&](const Entry& entry) { return entry.key_id == key_id; });
}

uint64_t TenantDirectory::generation() const {
  absl::ReaderMutexLock lock(&mutex_);
  return generation_;
}

}  // namespace keystead
