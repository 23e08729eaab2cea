// How the parts of the model look in the API: openapi.json says it for readers, this does it.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/membership/chain.h"
#include "core/observe/security_event.h"
#include "mobile-stub/device_board.h"

namespace keystead::console {

// Numbers that JSON does not know (NaN) become null.
nlohmann::json NumberOrNull(double value);

nlohmann::json JsonOf(const mobile::DeviceRow& row);
nlohmann::json JsonOf(const SecurityEvent& event);
// Roster and chain. Of a chain that is long, the newest epochs. `kinds`: what each device said it is.
nlohmann::json MembershipJson(const MembershipChain& chain, const std::map<MemberId, std::string>& kinds,
                              const MemberId& self);

// One line of ASCII.
std::string Dump(const nlohmann::json& value);

}  // namespace keystead::console
