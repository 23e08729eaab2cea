#include "mobile-stub/console/others.h"

#include <grpcpp/channel.h>

#include "core/base/status.h"
#include "keystead/v1/observer.grpc.pb.h"
#include "mobile-stub/console/ask_all.h"

namespace keystead::console {
namespace {

constexpr char kReadings[] = "telemetry/";
constexpr uint32_t kNewestGroups = 16;  // of each topic: mostly a reading is among them

absl::StatusOr<v1::HeldRequest> RequestTo(const RemoteOptions& remote, const v1::HeldRequest& request) {
  if (!remote.control) return request;
  v1::HeldRequest newest;
  KS_ASSIGN_OR_RETURN(const InstantiationId id, InstantiationOf(remote));
  newest.set_tenant(remote.tenant);
  newest.set_instantiation(id.ToString());
  newest.set_topic_prefix(kReadings);
  newest.set_last(kNewestGroups);
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
  std::deque<Question<v1::Observer, v1::HeldRequest, v1::HeldResponse>> questions;
  absl::MutexLock lock(&looking_);
  for (size_t i = 0; i < remotes_.size(); ++i) {
    auto& question = questions.emplace_back();
    absl::StatusOr<v1::HeldRequest> to = RequestTo(remotes_[i], request);
    question.status = to.status();
    if (!to.ok()) continue;
    question.request = *std::move(to);
    question.to = peers_[i]->stub.get();
  }
  AskAll<v1::Observer, v1::HeldRequest, v1::HeldResponse>(
      questions, &v1::Observer::StubInterface::async_interface::Held, absl::Now() + patience);
  std::vector<Answer> answers(remotes_.size());
  for (size_t i = 0; i < remotes_.size(); ++i) {
    answers[i].of = &remotes_[i];
    answers[i].status = questions[i].status;
    answers[i].held = std::move(questions[i].response);
  }
  return answers;
}

}  // namespace keystead::console
