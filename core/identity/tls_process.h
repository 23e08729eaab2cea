// TLS settings that this gRPC has no setter for.
#pragma once

#include "absl/status/status.h"

namespace keystead {

// Makes TLS 1.3 the only version and switches session tickets off (a resumed session would skip the
// certificate check) for every TLS context that the process makes from now on. Call it first thing in main(),
// before gRPC is touched and before there is a second thread. Looks at a fresh context afterwards: INTERNAL
// when the settings did not take, and then the program must not start.
absl::Status PinTls13Process();

}  // namespace keystead
