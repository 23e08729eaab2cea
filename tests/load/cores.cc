#include "tests/load/cores.h"

#include "core/base/status.h"
#include "tests/load/machine.h"

namespace keystead::load {

absl::StatusOr<Cores> ChooseCores(bool self) {
  Cores out;
  const std::vector<int> cores = AllowedCores();
  if (!self || cores.size() < 2) return out;
  KS_RETURN_IF_ERROR(PinTo(cores.back()));
  out.generator = cores.back();
  out.server = cores.front();
  return out;
}

}  // namespace keystead::load
