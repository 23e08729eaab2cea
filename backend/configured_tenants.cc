#include "backend/configured_tenants.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/program/files.h"

namespace keystead::backend {
namespace {

constexpr size_t kMaxCaFileBytes = 1 << 20;

absl::Status Prefixed(std::string_view what, const absl::Status& status) {
  return {status.code(), absl::StrCat(Absl(what), ": ", status.message())};
}

struct NamedCa {
  TenantName name;
  std::string file;
  std::string pem;
};

absl::StatusOr<NamedCa> ReadNamedCa(const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos) return absl::InvalidArgumentError(absl::StrCat("not NAME=CA.pem: ", pair));
  NamedCa out;
  KS_ASSIGN_OR_RETURN(out.name, TenantName::Parse(std::string_view(pair).substr(0, equals)));
  out.file = pair.substr(equals + 1);
  KS_ASSIGN_OR_RETURN(out.pem, ReadFile(out.file, kMaxCaFileBytes));
  return out;
}

}  // namespace

absl::Status RegisterTenants(const BackendOptions& options, TenantDirectory& directory) {
  if (!options.provider.empty()) {  // first: then no tenant takes its name
    KS_ASSIGN_OR_RETURN(const NamedCa ca, ReadNamedCa(options.provider));
    if (absl::Status status = directory.RegisterProvider(ca.name, ca.pem); !status.ok())
      return Prefixed(ca.file, status);
  }
  if (!options.tenants_folder.empty()) KS_RETURN_IF_ERROR(directory.LoadFolder(options.tenants_folder));
  for (const std::string& pair : options.tenants) {
    KS_ASSIGN_OR_RETURN(const NamedCa ca, ReadNamedCa(pair));
    if (absl::Status status = directory.Register(ca.name, ca.pem); !status.ok())
      return Prefixed(ca.file, status);
  }
  if (directory.Tenants().empty() && options.provider.empty())
    return absl::InvalidArgumentError(
        "there is no tenant: give --tenants FOLDER or --tenant NAME=CA.pem, or --provider NAME=CA.pem so "
        "that "
        "an operator can create one");
  return absl::OkStatus();
}

std::set<TenantName> NamedAlone(const BackendOptions& options) {
  std::set<TenantName> out;
  for (const std::string& pair : options.tenants) {
    const auto name = TenantName::Parse(std::string_view(pair).substr(0, pair.find('=')));
    if (name.ok()) out.insert(*name);
  }
  return out;
}

std::string ProviderName(const BackendOptions& options) {
  return options.provider.substr(0, options.provider.find('='));
}

}  // namespace keystead::backend
