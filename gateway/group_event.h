// What the security log says of a group that stands, or was to stand, at the next hop.
#pragma once

#include <string>

#include "core/observe/security_event.h"
#include "core/transport/group_view.h"

namespace keystead::gateway {

// Names the group's place by its outer fields, which nobody has verified; `detail` must hold nothing secret.
SecurityEvent EventAt(SecurityEventKind kind, const GroupView& group, std::string detail);

}  // namespace keystead::gateway
