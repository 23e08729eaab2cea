// What others hold, as the API says it (openapi.json, "Holding").
#pragma once

#include <nlohmann/json.hpp>

#include "mobile-stub/console/others.h"

namespace keystead::console {

// Of one process that was asked. Of a place that was asked for, that record of each copy; of a control the
// last of the newest group. `asked`: sequence and stream in the request.
nlohmann::json HoldingJson(const Others::Answer& answer, const v1::RecordPlace& asked);

}  // namespace keystead::console
