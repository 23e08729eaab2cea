// What the security log says of a group that stands, or was to stand, at a hop.
#pragma once

#include <string>
#include <string_view>

#include "core/observe/security_event.h"
#include "core/transport/group_view.h"

namespace keystead {

inline constexpr std::string_view kNextHop = "next hop";  // the peer, where this process called it

// Names the group's place by its outer fields, which nobody has verified; `detail` must hold nothing secret.
SecurityEvent EventAt(SecurityEventKind kind, const GroupView& group, std::string_view peer,
                      std::string detail);

}  // namespace keystead
