// Which parts of the store's row keys are names, to be masked, and which are numbers, whose order is needed.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "core/base/ids.h"
#include "core/storage/log_store.h"

namespace keystead::backend::at_rest {

struct KeySegment {
  enum class Kind { kClear, kName, kInstantiation };  // an instantiation is a name, and a compartment
  Kind kind = Kind::kClear;
  size_t bytes = 0;  // 0: the rest
};

// Of a row's key in a table of a tenant, or of a prefix of one that ends where a segment does. The rows of
// core/transport/record_log_rows.h and backend/rows.h; a key of no known shape is one name as a whole.
std::span<const KeySegment> ShapeOf(storage::Table table, std::string_view key);

}  // namespace keystead::backend::at_rest
