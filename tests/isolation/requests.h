// Requests to any RPC, made from its descriptor: what a test sends that asks everything.
#pragma once

#include <google/protobuf/descriptor.h>

#include <map>
#include <span>
#include <string>
#include <vector>

namespace keystead::testing {

// By the name of a field, what stands in it; in messages inside of the request too.
using Filling = std::map<std::string, std::string>;

// To "/package.Service/Method": nothing, junk, much junk, and one request for each filling. Only the junk
// when none of `services` has the method.
std::vector<std::string> RequestsTo(const std::string& method,
                                    std::span<const google::protobuf::ServiceDescriptor* const> services,
                                    std::span<const Filling> fillings);

}  // namespace keystead::testing
