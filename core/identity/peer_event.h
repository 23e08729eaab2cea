// A security event about a peer that is known by its certificate.
#pragma once

#include <string>
#include <string_view>

#include "core/identity/principal.h"
#include "core/observe/security_event.h"

namespace keystead {

inline void ReportPeer(SecurityEventKind kind, const Principal& peer, std::string_view detail) {
  Report({.kind = kind, .tenant = peer.tenant().str(), .peer = peer.uri(), .detail = std::string(detail)});
}

}  // namespace keystead
