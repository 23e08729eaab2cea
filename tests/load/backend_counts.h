// What the server itself counts of its tenants (keystead.v1.TenantAdmin), to hold our own numbers against.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/load/credentials.h"
#include "tests/load/engine.h"

namespace keystead::load {

struct BackendCounts {
  absl::Status answered;  // not OK: it does not say, or not to us
  uint64_t connections = 0;
  uint64_t certificates = 0;  // distinct ones since it started
  uint64_t records_in = 0;
  uint64_t stored_bytes = 0;
  uint64_t queue_bytes = 0;
  double queue_seconds = 0;
  std::map<std::string, uint64_t> refused;  // by the name of the limit
};

// The sum over these tenants, asked for as the operator; no operator: not answered.
BackendCounts AskBackend(const Target& target, const std::optional<Identity>& op,
                         const std::vector<TenantName>& tenants);

}  // namespace keystead::load
