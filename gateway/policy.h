// Which role may call which RPC of the gateway: the whole table, in one place. What has no row is refused,
// and a test fails while a served RPC has none.
#pragma once

#include <google/protobuf/descriptor.h>

#include <vector>

#include "core/transport/authorization.h"

namespace keystead::gateway {

AuthorizationPolicy MakePolicy();

// Descriptors of what the gateway serves, but for the standard health service.
std::vector<const google::protobuf::ServiceDescriptor*> ServedServices();

}  // namespace keystead::gateway
