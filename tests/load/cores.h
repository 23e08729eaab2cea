// A core for the server and one for the generator.
#pragma once

#include "absl/status/statusor.h"

namespace keystead::load {

struct Cores {
  int generator = -1;  // -1: not pinned
  int server = -1;
};

// With a server of our own: pins this thread, and all it starts, to the last core it may use; the server
// shall run on the first. Nothing is pinned for a server elsewhere, or when there is only one core.
absl::StatusOr<Cores> ChooseCores(bool self);

}  // namespace keystead::load
