// A deny list as text. One entry a line, '#' begins a comment: "serial <hex>", "sha256 <64 hex digits of the
// leaf in DER>", "issuer <64 hex digits of an enrollment CA's SubjectPublicKeyInfo>" for all that this CA
// issued, or "name <role>/<id>" for whatever certificate shows that name; of the tenant that the last line
// "tenant <name>" before it named. What is about one tenant only needs no such line.
#pragma once

#include <map>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/identity/principal.h"

namespace keystead {

// By tenant; `own` is whose the lines before the first "tenant" are, none: there may be none. `path` is for
// messages only. INVALID_ARGUMENT names it and the line.
absl::StatusOr<std::map<TenantName, DenyList::Entries>> ParseDenyList(std::string_view content,
                                                                      std::string_view path,
                                                                      const std::optional<TenantName>& own);

}  // namespace keystead
