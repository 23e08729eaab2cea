#include "infra-sim/services.h"

#include "absl/status/statusor.h"
#include "core/crypto/hash.h"
#include "core/transport/authorization.h"
#include "infra-sim/caller.h"
#include "infra-sim/publish_pass.h"
#include "infra-sim/subscribe_pass.h"

namespace keystead::infra {

absl::StatusOr<Caller> FindUpstream(const Hop& hop, const grpc::CallbackServerContext& context) {
  const auto principal = PrincipalOf(context, *hop.resolver);
  if (!principal.ok()) return principal.status();
  const auto found = hop.upstreams.find((*principal)->tenant());
  if (found == hop.upstreams.end()) {
    return absl::PermissionDeniedError("no upstream for tenant " + (*principal)->tenant().str());
  }
  return Caller{found->first, found->second.get(), (*principal)->id().str()};
}

namespace {

v1::StreamHeader RegistryHeader(const std::string& tenant, const std::string& instantiation) {
  v1::StreamHeader header;
  header.set_tenant(tenant);
  header.set_instantiation(instantiation);
  header.set_topic(std::string(kRegistryTopic));
  return header;
}

v1::StreamHeader RendezvousHeader(const TenantName& tenant, const std::string& box) {
  v1::StreamHeader header;
  header.set_tenant(tenant.str());
  header.set_topic(std::string(kRendezvousTopic));
  header.set_sender(box);
  return header;
}

// Puts what the engine made of a repeated field back into it.
void Replace(const UnaryPlan& plan, google::protobuf::RepeatedPtrField<std::string>& field) {
  if (!plan.attacked) return;
  field.Clear();
  for (const UnaryPlan::Out& out : plan.messages) *field.Add() = out.message;
}

UnaryPlan Untouched() { return {}; }

}  // namespace

grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* TransportPass::Publish(
    grpc::CallbackServerContext* context) {
  const auto caller = FindUpstream(hop_, *context);
  if (!caller.ok()) {
    return new Refusing<grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>>(caller.status());
  }
  return StartPublishPass(hop_, caller->upstream, *context);
}

grpc::ServerWriteReactor<v1::SubscribeResponse>* TransportPass::Subscribe(
    grpc::CallbackServerContext* context, const v1::SubscribeRequest* request) {
  const auto caller = FindUpstream(hop_, *context);
  if (!caller.ok()) return new Refusing<grpc::ServerWriteReactor<v1::SubscribeResponse>>(caller.status());
  return StartSubscribePass(hop_, caller->upstream, caller->id, *context, *request);
}

grpc::ServerUnaryReactor* RegistryPass::Submit(grpc::CallbackServerContext* context,
                                               const v1::SubmitCommitRequest* request,
                                               v1::SubmitCommitResponse* response) {
  using Call = UnaryCall<v1::SubmitCommitRequest, v1::SubmitCommitResponse>;
  return StartUnary<v1::SubmitCommitRequest, v1::SubmitCommitResponse>(
      hop_, *context, *request, response, [this](const Caller& caller) {
        Call::Shape shape;
        shape.plan = [this](const v1::SubmitCommitRequest& r) {
          return PlanUnary(hop_, Direction::kUp, RegistryHeader(r.tenant(), r.instantiation()), 0,
                           {r.bundle()});
        };
        shape.rebuild = [](const v1::SubmitCommitRequest&, const UnaryPlan::Out& out) {
          v1::SubmitCommitRequest r;
          r.set_tenant(out.header.tenant());
          r.set_instantiation(out.header.instantiation());
          r.set_bundle(out.message);
          return r;
        };
        // A lie that the caller can find out: it knows the hash of the commit it sent.
        shape.fabricate = [](const v1::SubmitCommitRequest& r, v1::SubmitCommitResponse& answer) {
          answer.set_head(crypto::Sha256(AsBytes(r.bundle())).ToString());
        };
        shape.edit = [](const v1::SubmitCommitRequest&, v1::SubmitCommitResponse&) { return Untouched(); };
        shape.call = [upstream = caller.upstream](auto* ctx, const auto* req, auto* resp, Call::Done done) {
          upstream->registry->async()->Submit(ctx, req, resp, std::move(done));
        };
        return shape;
      });
}

grpc::ServerUnaryReactor* RegistryPass::Fetch(grpc::CallbackServerContext* context,
                                              const v1::FetchCommitsRequest* request,
                                              v1::FetchCommitsResponse* response) {
  using Call = UnaryCall<v1::FetchCommitsRequest, v1::FetchCommitsResponse>;
  return StartUnary<v1::FetchCommitsRequest, v1::FetchCommitsResponse>(
      hop_, *context, *request, response, [this](const Caller& caller) {
        Call::Shape shape;
        shape.plan = [](const v1::FetchCommitsRequest&) { return Untouched(); };
        shape.edit = [this](const v1::FetchCommitsRequest& r, v1::FetchCommitsResponse& answer) {
          const UnaryPlan plan =
              PlanUnary(hop_, Direction::kDown, RegistryHeader(r.tenant(), r.instantiation()), r.from_epoch(),
                        {answer.bundles().begin(), answer.bundles().end()});
          Replace(plan, *answer.mutable_bundles());
          return plan;
        };
        shape.call = [upstream = caller.upstream](auto* ctx, const auto* req, auto* resp, Call::Done done) {
          upstream->registry->async()->Fetch(ctx, req, resp, std::move(done));
        };
        return shape;
      });
}

grpc::ServerUnaryReactor* RendezvousPass::Put(grpc::CallbackServerContext* context,
                                              const v1::PutRequest* request, v1::PutResponse* response) {
  using Call = UnaryCall<v1::PutRequest, v1::PutResponse>;
  return StartUnary<v1::PutRequest, v1::PutResponse>(
      hop_, *context, *request, response, [this](const Caller& caller) {
        Call::Shape shape;
        shape.plan = [this, tenant = caller.tenant](const v1::PutRequest& r) {
          return PlanUnary(hop_, Direction::kUp, RendezvousHeader(tenant, r.box()), 0, {r.message()});
        };
        shape.rebuild = [](const v1::PutRequest&, const UnaryPlan::Out& out) {
          v1::PutRequest r;
          r.set_box(out.header.sender());
          r.set_message(out.message);
          return r;
        };
        shape.fabricate = [](const v1::PutRequest&, v1::PutResponse&) {};
        shape.edit = [](const v1::PutRequest&, v1::PutResponse&) { return Untouched(); };
        shape.call = [upstream = caller.upstream](auto* ctx, const auto* req, auto* resp, Call::Done done) {
          upstream->rendezvous->async()->Put(ctx, req, resp, std::move(done));
        };
        return shape;
      });
}

grpc::ServerUnaryReactor* RendezvousPass::Await(grpc::CallbackServerContext* context,
                                                const v1::AwaitRequest* request,
                                                v1::AwaitResponse* response) {
  using Call = UnaryCall<v1::AwaitRequest, v1::AwaitResponse>;
  return StartUnary<v1::AwaitRequest, v1::AwaitResponse>(
      hop_, *context, *request, response, [this](const Caller& caller) {
        Call::Shape shape;
        shape.plan = [](const v1::AwaitRequest&) { return Untouched(); };
        shape.edit = [this, tenant = caller.tenant](const v1::AwaitRequest& r, v1::AwaitResponse& answer) {
          const UnaryPlan plan = PlanUnary(hop_, Direction::kDown, RendezvousHeader(tenant, r.box()),
                                           r.after(), {answer.messages().begin(), answer.messages().end()});
          Replace(plan, *answer.mutable_messages());
          return plan;
        };
        shape.call = [upstream = caller.upstream](auto* ctx, const auto* req, auto* resp, Call::Done done) {
          upstream->rendezvous->async()->Await(ctx, req, resp, std::move(done));
        };
        return shape;
      });
}

}  // namespace keystead::infra
