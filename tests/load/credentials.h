// Who connects: certificates in the layout of certs/README.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/identity/certificate_files.h"

namespace keystead::load {

struct Identity {
  SpiffeId id;
  CertificateFiles files;
};

struct TenantCredentials {
  TenantName name;
  Identity owner;  // the first app of the tenant: founds its instantiations
  std::vector<Identity> devices;
};

// The first tenants by name below FOLDER/tenants with that many devices each. NOT_FOUND says what is missing.
absl::StatusOr<std::vector<TenantCredentials>> FindTenants(const std::string& folder,
                                                           const std::string& roots, int tenants,
                                                           int devices);

// The first operator below FOLDER/provider/operator; none when there is none.
std::optional<Identity> FindOperator(const std::string& folder, const std::string& roots);

}  // namespace keystead::load
