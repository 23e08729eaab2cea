// The reactor of a streaming call that is refused before anything begins.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {

// `Reactor` is one of gRPC's for servers. `event` names the line in the log.
template <class Reactor>
class Refusal final : public Reactor {
 public:
  Refusal(const absl::Status& why, std::string_view event) { this->Finish(ToPeer(why, event)); }
  void OnDone() override { delete this; }
};

}  // namespace keystead::backend
