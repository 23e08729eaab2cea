// The one backend that a run of the program talks to, and what its refusals mean in words.
#pragma once

#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/identity/certificate_files.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "keystead/v1/observer.grpc.pb.h"

namespace keystead::admin {

struct ConnectionOptions {
  std::string address;  // host:port
  std::string server;   // spiffe://<provider>/service/* or one id
  CertificateFiles files;
  double timeout_seconds = 10;  // of each call
};

// Not thread-safe.
class Connection {
 public:
  explicit Connection(const ConnectionOptions* options) : options_(options) {}  // not owned

  // Dials with the first call. `what` goes into messages: "tenant acme.example".
  template <class Request, class Response>
  absl::Status Call(grpc::Status (v1::TenantAdmin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                  Response*),
                    const Request& request, Response* response, std::string_view what) {
    if (absl::Status dialled = Dial(); !dialled.ok()) return dialled;
    grpc::ClientContext context;
    SetDeadline(context);
    return Explain((stub_.get()->*method)(&context, request, response), what);
  }

  // Of Observer, which gateways and hostile equipment serve as well.
  absl::Status Observe(const v1::HeldRequest& request, v1::HeldResponse* response, std::string_view what) {
    if (absl::Status dialled = Dial(); !dialled.ok()) return dialled;
    grpc::ClientContext context;
    SetDeadline(context);
    return Explain(observer_->Held(&context, request, response), what);
  }

  // For calls that stream. INVALID_ARGUMENT: options are missing or wrong.
  absl::Status Dial();
  v1::TenantAdmin::Stub& stub() { return *stub_; }  // after Dial
  void SetDeadline(grpc::ClientContext& context) const;

  // One sentence on what happened and what to do. Never INVALID_ARGUMENT, which is for what was typed.
  absl::Status Explain(const grpc::Status& status, std::string_view what) const;

 private:
  const ConnectionOptions* const options_;
  std::unique_ptr<v1::TenantAdmin::Stub> stub_;
  std::unique_ptr<v1::Observer::Stub> observer_;
};

}  // namespace keystead::admin
