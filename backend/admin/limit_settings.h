// Limits as operators write and read them: "records_per_second=50", "stored_bytes=2GiB", "weight=none".
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "keystead/v1/admin.pb.h"

namespace keystead::admin {

// Changes what the settings name and nothing else. Keys are the fields of TenantLimits. Numbers may carry a
// unit: k, M, G (thousands) anywhere; KiB, MiB, GiB, TiB for bytes; s, min, h, d for times; "none" is 0.
// INVALID_ARGUMENT names the setting and says what is known; then nothing is changed.
absl::Status ApplySettings(const std::vector<std::string>& settings, v1::TenantLimits* limits);

// A line a limit, with units.
std::string DescribeLimits(const v1::TenantLimits& limits);

// For --help.
std::string SettingsHelp();

}  // namespace keystead::admin
