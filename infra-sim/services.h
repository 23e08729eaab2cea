// The services of a balancer: each call is matched with its tenant's upstream and handed to a pass.
#pragma once

#include "infra-sim/hop.h"

namespace keystead::infra {

class TransportPass final : public v1::Transport::CallbackService {
 public:
  explicit TransportPass(const Hop& hop) : hop_(hop) {}
  grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* Publish(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<v1::SubscribeResponse>* Subscribe(grpc::CallbackServerContext* context,
                                                             const v1::SubscribeRequest* request) override;

 private:
  const Hop& hop_;
};

// Bundles are records of the pseudo-topic "registry"; their sequence is the epoch asked for, or 0.
class RegistryPass final : public v1::Registry::CallbackService {
 public:
  explicit RegistryPass(const Hop& hop) : hop_(hop) {}
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const v1::SubmitCommitRequest* request,
                                   v1::SubmitCommitResponse* response) override;
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchCommitsRequest* request,
                                  v1::FetchCommitsResponse* response) override;

 private:
  const Hop& hop_;
};

// Messages are records of the pseudo-topic "rendezvous"; the box stands as their sender.
class RendezvousPass final : public v1::Rendezvous::CallbackService {
 public:
  explicit RendezvousPass(const Hop& hop) : hop_(hop) {}
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::PutResponse* response) override;
  grpc::ServerUnaryReactor* Await(grpc::CallbackServerContext* context, const v1::AwaitRequest* request,
                                  v1::AwaitResponse* response) override;

 private:
  const Hop& hop_;
};

}  // namespace keystead::infra
