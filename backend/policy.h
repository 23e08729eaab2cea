// Which role may call which RPC of the backend: the whole table, in one place. What has no row is refused,
// and a test fails while a served RPC has none.
#pragma once

#include <google/protobuf/descriptor.h>

#include <vector>

#include "core/transport/authorization.h"

namespace keystead::backend {

AuthorizationPolicy MakePolicy();

// Descriptors of what Backend serves, but for the standard health service; Observer when it is told to.
std::vector<const google::protobuf::ServiceDescriptor*> ServedServices();

}  // namespace keystead::backend
