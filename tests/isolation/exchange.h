// One call as bytes, whatever the RPC: what a peer sends, and all that it gets back.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keystead::testing {

struct Answer {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  std::string details;                 // of the rich error model
  std::vector<std::string> metadata;   // "name: value", the headers first, sorted
  std::vector<std::string> responses;  // serialized messages

  // Everything a peer can tell one answer from another by, but for the time.
  std::string Bytes() const;
};

// Sends one request, closes that side and reads to the end of the call, or until a response is `enough`: then
// it cancels, and the code stays OK. The deadline is generous: only a server that hangs meets it.
Answer Exchange(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                const std::string& request,
                const std::function<bool(const std::string& response)>& enough = nullptr);

}  // namespace keystead::testing
