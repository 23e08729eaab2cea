// The tenants that the options name, and the provider.
#pragma once

#include <set>

#include "absl/status/status.h"
#include "backend/backend.h"
#include "core/identity/principal.h"

namespace keystead::backend {

// Reads their CA certificates and registers them. Errors are one line that says which file is wrong, or that
// there is nobody.
absl::Status RegisterTenants(const BackendOptions& options, TenantDirectory& directory);

// The tenants of --tenant, which outdoes the folder.
std::set<TenantName> NamedAlone(const BackendOptions& options);

// Its name alone; empty when there is none.
std::string ProviderName(const BackendOptions& options);

}  // namespace keystead::backend
