#include "infra-sim/identity_pass.h"

#include <algorithm>

#include "core/cose/cbor_reader.h"
#include "core/cose/cbor_writer.h"
#include "core/crypto/hash.h"
#include "infra-sim/attacks.h"
#include "infra-sim/caller.h"

namespace keystead::infra {
namespace {

constexpr size_t kMaxChains = 64;
constexpr std::string_view kRequest = "enroll";  // first element of the pair around a proof

v1::StreamHeader HeaderOf(const TenantName& tenant, std::string_view topic, const std::string& sender) {
  v1::StreamHeader header;
  header.set_tenant(tenant.str());
  header.set_topic(std::string(topic));
  header.set_sender(sender);
  return header;
}

std::string PairOf(std::string_view kind, const std::string& object) {
  return ToString(cose::EncodeArray(kind, Bytes(object.begin(), object.end())));
}

// What stands in the pair; what is no pair any more goes on as it is.
std::string ObjectOf(const std::string& pair) {
  cose::CborReader reader(AsBytes(pair));
  if (!reader.ReadArrayOf(2).ok() || !reader.ReadText().ok()) return pair;
  const auto object = reader.ReadBytes();
  return object.ok() && reader.Finish().ok() ? ToString(*object) : pair;
}

}  // namespace

std::string EnrollmentPass::Remember(const std::string& factory_chain) {
  std::string sender = crypto::Sha256(AsBytes(factory_chain)).ToString().substr(0, MemberId::kSize);
  absl::MutexLock lock(&mutex_);
  const auto same = [&](const auto& known) { return known.first == sender; };
  if (std::any_of(chains_.begin(), chains_.end(), same)) return sender;
  if (chains_.size() == kMaxChains) chains_.pop_front();
  chains_.emplace_back(sender, factory_chain);
  return sender;
}

std::string EnrollmentPass::ChainOf(const std::string& sender, const std::string& came) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [known, chain] : chains_) {
    if (known == sender) return chain;
  }
  std::string damaged = came;
  if (!damaged.empty()) {
    char& victim = damaged[damaged.size() / 3];
    victim = victim == 'A' ? 'B' : 'A';
  }
  return damaged;
}

grpc::ServerUnaryReactor* EnrollmentPass::Enroll(grpc::CallbackServerContext* context,
                                                 const v1::EnrollRequest* request,
                                                 v1::EnrollResponse* response) {
  using Call = UnaryCall<v1::EnrollRequest, v1::EnrollResponse>;
  return StartUnary<v1::EnrollRequest, v1::EnrollResponse>(
      hop_, *context, *request, response, [this](const Caller& caller) {
        Call::Shape shape;
        shape.plan = [this, tenant = caller.tenant](const v1::EnrollRequest& r) {
          return PlanUnary(hop_, Direction::kUp,
                           HeaderOf(tenant, kEnrollmentRequestTopic, Remember(r.factory_chain())), 0,
                           {PairOf(kRequest, r.proof())});
        };
        shape.rebuild = [this](const v1::EnrollRequest& came, const UnaryPlan::Out& out) {
          v1::EnrollRequest r;
          r.set_factory_chain(ChainOf(out.header.sender(), came.factory_chain()));
          r.set_proof(ObjectOf(out.message));
          return r;
        };
        shape.fabricate = [](const v1::EnrollRequest&, v1::EnrollResponse&) {};
        shape.edit = [this, tenant = caller.tenant](const v1::EnrollRequest& r, v1::EnrollResponse& answer) {
          UnaryPlan plan = PlanUnary(hop_, Direction::kDown,
                                     HeaderOf(tenant, kEnrollmentChainTopic, Remember(r.factory_chain())), 0,
                                     {answer.chain()});
          if (plan.attacked)
            answer.set_chain(plan.messages.empty() ? std::string() : plan.messages.back().message);
          return plan;
        };
        shape.call = [upstream = caller.upstream](auto* ctx, const auto* req, auto* resp, Call::Done done) {
          upstream->enrollment->async()->Enroll(ctx, req, resp, std::move(done));
        };
        return shape;
      });
}

grpc::ServerUnaryReactor* RevocationPass::Put(grpc::CallbackServerContext* context,
                                              const v1::PutRevocationsRequest* request,
                                              v1::PutRevocationsResponse* response) {
  using Call = UnaryCall<v1::PutRevocationsRequest, v1::PutRevocationsResponse>;
  return StartUnary<v1::PutRevocationsRequest, v1::PutRevocationsResponse>(
      hop_, *context, *request, response, [this](const Caller& caller) {
        Call::Shape shape;
        shape.plan = [this, tenant = caller.tenant](const v1::PutRevocationsRequest& r) {
          return PlanUnary(hop_, Direction::kUp, HeaderOf(tenant, kRevocationTopic, ""), 0,
                           {PairOf(kRevocationTopic, r.object())});
        };
        shape.rebuild = [](const v1::PutRevocationsRequest&, const UnaryPlan::Out& out) {
          v1::PutRevocationsRequest r;
          r.set_object(ObjectOf(out.message));
          return r;
        };
        shape.fabricate = [](const v1::PutRevocationsRequest&, v1::PutRevocationsResponse&) {};
        shape.edit = [](const v1::PutRevocationsRequest&, v1::PutRevocationsResponse&) {
          return UnaryPlan();
        };
        shape.call = [upstream = caller.upstream](auto* ctx, const auto* req, auto* resp, Call::Done done) {
          upstream->revocation->async()->Put(ctx, req, resp, std::move(done));
        };
        return shape;
      });
}

grpc::ServerUnaryReactor* RevocationPass::Fetch(grpc::CallbackServerContext* context,
                                                const v1::FetchRevocationsRequest* request,
                                                v1::FetchRevocationsResponse* response) {
  using Call = UnaryCall<v1::FetchRevocationsRequest, v1::FetchRevocationsResponse>;
  return StartUnary<v1::FetchRevocationsRequest, v1::FetchRevocationsResponse>(
      hop_, *context, *request, response, [this](const Caller& caller) {
        Call::Shape shape;
        shape.plan = [](const v1::FetchRevocationsRequest&) { return UnaryPlan(); };
        shape.edit = [this, tenant = caller.tenant](const v1::FetchRevocationsRequest&,
                                                    v1::FetchRevocationsResponse& answer) {
          UnaryPlan plan = PlanUnary(hop_, Direction::kDown, HeaderOf(tenant, kRevocationTopic, ""), 0,
                                     {PairOf(kRevocationTopic, answer.object())});
          if (plan.attacked)
            answer.set_object(plan.messages.empty() ? std::string() : ObjectOf(plan.messages.back().message));
          return plan;
        };
        shape.call = [upstream = caller.upstream](auto* ctx, const auto* req, auto* resp, Call::Done done) {
          upstream->revocation->async()->Fetch(ctx, req, resp, std::move(done));
        };
        return shape;
      });
}

}  // namespace keystead::infra
