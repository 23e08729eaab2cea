// What is served, group by group; each in a file of its own. Paths and answers are described in openapi.json,
// which a test compares with these.
#pragma once

#include <nlohmann/json.hpp>

#include "core/base/ids.h"
#include "mobile-stub/console/router.h"

namespace keystead::console {

class Console;

void AddPageRoutes(Router& router);                      // page_routes.cc: the page's files, for anybody
void AddHomeRoutes(Router& router, Console& console);    // home_routes.cc: state, commands
void AddEventRoutes(Router& router, Console& console);   // event_routes.cc: what changes, as it changes
void AddMemberRoutes(Router& router, Console& console);  // member_routes.cc: joining, removing
void AddOthersRoutes(Router& router, Console& console);  // others_routes.cc: what others see of a record
void AddAttackRoutes(Router& router, Console& console);  // attack_routes.cc: attacks, and who noticed

// Answers a task that was begun: 202 with its id, or why it was not.
HttpResponse TaskResponse(const absl::StatusOr<std::string>& task);

// The member named in the path, if anybody of that id ever belonged.
absl::StatusOr<MemberId> MemberInPath(Console& console, const PathParameters& path);

// A JSON object; INVALID_ARGUMENT otherwise.
absl::StatusOr<nlohmann::json> JsonBody(const HttpRequest& request);

}  // namespace keystead::console
