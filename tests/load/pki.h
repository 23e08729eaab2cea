// A demonstration PKI of any size, made in memory and written in the layout of certs/README.md.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/base/ids.h"

namespace keystead::load {

inline constexpr std::string_view kProviderName = "provider.load.example";
std::string TenantNameOf(int tenant);  // "t0007.load.example"

// Below `folder`, which must be there: provider, admission, and tenants with one app "owner" and `devices`
// devices each, good for two days. About a millisecond for each certificate, keys on P-256.
absl::Status MakePki(const std::string& folder, int tenants, int devices);

}  // namespace keystead::load
