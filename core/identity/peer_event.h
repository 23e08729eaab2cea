// A security event about a peer that is known by its certificate.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/identity/principal.h"
#include "core/observe/security_event.h"

namespace keystead {

inline void ReportPeer(SecurityEventKind kind, const Principal& peer, std::string_view detail) {
  Report({.kind = kind, .tenant = peer.tenant().str(), .peer = peer.uri(), .detail = std::string(detail)});
}

// What a limit said to a peer: reported unless it is OK, and handed back. `what` was too much.
inline absl::Status ReportLimit(const Principal& peer, std::string_view what, absl::Status limit) {
  if (!limit.ok()) ReportPeer(SecurityEventKind::kLimitExceeded, peer, what);
  return limit;
}
// The same, where the limit's own words say it.
inline absl::Status ReportLimit(const Principal& peer, const absl::Status& limit) {
  const std::string what(limit.message());
  return ReportLimit(peer, what, limit);
}

}  // namespace keystead
