#include "mobile-stub/console/others.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "absl/synchronization/blocking_counter.h"
#include "core/base/status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/observer.grpc.pb.h"

namespace keystead::console {
namespace {

constexpr char kReadings[] = "telemetry/";

absl::StatusOr<v1::HeldRequest> RequestTo(const RemoteOptions& remote, const v1::HeldRequest& request) {
  if (!remote.control) return request;
  v1::HeldRequest newest;
  KS_ASSIGN_OR_RETURN(const InstantiationId id, InstantiationOf(remote));
  newest.set_tenant(remote.tenant);
  newest.set_instantiation(id.ToString());
  newest.set_topic_prefix(kReadings);
  newest.set_last(1);
  return newest;
}

}  // namespace

struct Others::Peer {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Observer::Stub> stub;
};

absl::StatusOr<std::unique_ptr<Others>> Others::Open(std::vector<RemoteOptions> remotes) {
  std::unique_ptr<Others> others(new Others(std::move(remotes)));
  absl::MutexLock lock(&others->looking_);
  for (const RemoteOptions& remote : others->remotes_) {
    auto peer = std::make_unique<Peer>();
    KS_ASSIGN_OR_RETURN(peer->channel, Dial(remote));
    peer->stub = v1::Observer::NewStub(peer->channel);
    others->peers_.push_back(std::move(peer));
  }
  return others;
}

Others::Others(std::vector<RemoteOptions> remotes) : remotes_(std::move(remotes)) {}
Others::~Others() = default;

std::vector<Others::Answer> Others::Look(const v1::HeldRequest& request, absl::Duration patience) {
  struct Call {
    grpc::ClientContext context;
    v1::HeldRequest request;
  };
  std::vector<Answer> answers(remotes_.size());
  std::vector<Call> calls(remotes_.size());
  absl::MutexLock lock(&looking_);
  absl::BlockingCounter left(static_cast<int>(remotes_.size()));
  for (size_t i = 0; i < remotes_.size(); ++i) {
    Answer& answer = answers[i];
    answer.of = &remotes_[i];
    absl::StatusOr<v1::HeldRequest> to = RequestTo(remotes_[i], request);
    if (!to.ok()) {
      answer.status = to.status();
      left.DecrementCount();
      continue;
    }
    calls[i].request = *std::move(to);
    calls[i].context.set_deadline(absl::ToChronoTime(absl::Now() + patience));
    peers_[i]->stub->async()->Held(&calls[i].context, &calls[i].request, &answer.held,
                                   [&answer, &left](const grpc::Status& status) {
                                     answer.status = FromGrpc(status);
                                     left.DecrementCount();
                                   });
  }
  left.Wait();
  return answers;
}

}  // namespace keystead::console
