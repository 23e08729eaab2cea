// A tenant's revocations beside its CA key, where they are made: <folder>/revocations.txt, which people may
// edit, and <folder>/revocations.cbor, which is signed and goes to the provider.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"

namespace keystead {

// Appends `lines` to the text and signs the whole of it with <folder>/ca.key, numbered one above what is
// there; the new number. INVALID_ARGUMENT when a line is no entry of a deny list; then nothing is changed.
// Other errors name the file. Processes take turns.
absl::StatusOr<uint64_t> AddRevocations(const std::string& folder, const TenantName& tenant,
                                        const std::vector<std::string>& lines);

}  // namespace keystead
