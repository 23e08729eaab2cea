// keystead.v1.Rendezvous over Mailboxes. No thread waits for a message.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "backend/mailboxes.h"
#include "backend/tenant_view.h"
#include "keystead/v1/rendezvous.grpc.pb.h"

namespace keystead::backend {

class RendezvousService final : public v1::Rendezvous::CallbackService {
 public:
  // Nothing is owned.
  RendezvousService(const PrincipalResolver* resolver, const Tenants* tenants, Mailboxes* mailboxes)
      : resolver_(resolver), tenants_(tenants), mailboxes_(mailboxes) {}

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::PutResponse* response) override;
  grpc::ServerUnaryReactor* Await(grpc::CallbackServerContext* context, const v1::AwaitRequest* request,
                                  v1::AwaitResponse* response) override;

 private:
  const PrincipalResolver* const resolver_;
  const Tenants* const tenants_;
  Mailboxes* const mailboxes_;
};

}  // namespace keystead::backend
