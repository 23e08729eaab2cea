// The command line of core/transport/handshake_governor.h, for every program that lets strangers connect.
#pragma once

#include "core/transport/handshake_governor.h"

namespace CLI {
class App;
}

namespace keystead {

// --handshakes-per-second and so on; all have defaults.
void AddHandshakeOptions(CLI::App& app, HandshakeLimits& limits);

}  // namespace keystead
