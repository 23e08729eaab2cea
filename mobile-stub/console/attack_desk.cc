#include "mobile-stub/console/attack_desk.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/infra.grpc.pb.h"
#include "mobile-stub/console/ask_all.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr absl::Duration kPatience = absl::Seconds(3);
constexpr int kMaxInjectionsShown = 50;  // of one attack
// What equipment says is a stranger's: so much of it is shown, however much there is.
constexpr int kMaxListeners = 64;  // and next hops of each
constexpr int kMaxArmed = 4096;
constexpr size_t kMaxText = 512;

std::string Cut(const std::string& text) { return text.substr(0, kMaxText); }

// "ATTACK_ACK_AND_DROP" is "ack_and_drop" to the page; nothing where nothing is said.
std::string Word(const std::string& name) {
  const std::string word = absl::AsciiStrToLower(name.substr(name.find('_') + 1));
  return word == "unspecified" ? "" : word;
}

}  // namespace

struct AttackDesk::Peer {
  const RemoteOptions* of = nullptr;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::InfraControl::Stub> stub;
};

namespace {

template <class Request, class Response>
using Questions = std::deque<Question<v1::InfraControl, Request, Response>>;
using Methods = v1::InfraControl::StubInterface::async_interface;

}  // namespace

absl::StatusOr<std::unique_ptr<AttackDesk>> AttackDesk::Open(std::vector<RemoteOptions> remotes,
                                                             const ReaderNotes* notes, const Clock* clock) {
  std::unique_ptr<AttackDesk> desk(new AttackDesk(std::move(remotes), notes, clock));
  for (const RemoteOptions& remote : desk->remotes_) {
    auto peer = std::make_unique<Peer>();
    peer->of = &remote;
    KS_ASSIGN_OR_RETURN(peer->channel, Dial(remote));
    peer->stub = v1::InfraControl::NewStub(peer->channel);
    desk->peers_.push_back(std::move(peer));
  }
  return desk;
}

AttackDesk::AttackDesk(std::vector<RemoteOptions> remotes, const ReaderNotes* notes, const Clock* clock)
    : remotes_(std::move(remotes)), notes_(*notes), clock_(*clock) {}
AttackDesk::~AttackDesk() = default;

AttackDesk::Peer* AttackDesk::Find(const std::string& name) const {
  for (const auto& peer : peers_) {
    if (peer->of->name == name) return peer.get();
  }
  return nullptr;
}

absl::StatusOr<uint64_t> AttackDesk::Arm(const std::string& remote, const v1::ArmRequest& request) {
  const Peer* const peer = Find(remote);
  if (peer == nullptr)
    return absl::NotFoundError(absl::StrCat("there is no equipment called '", remote, "'"));
  const int64_t armed_us =
      absl::ToUnixMicros(clock_.Now());  // its record may be noticed before the answer is here
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  v1::ArmResponse response;
  KS_RETURN_IF_ERROR(FromGrpc(peer->stub->Arm(&context, request, &response)));
  absl::MutexLock lock(&mutex_);
  // Equipment that was started anew counts from 1 again: what bore this number is not to be asked for any
  // more.
  std::erase_if(attacks_, [&](const Attack& earlier) {
    return earlier.remote == remote && earlier.number >= response.attack();
  });
  attacks_.push_front(
      {.remote = remote, .number = response.attack(), .request = request, .armed_us = armed_us});
  if (attacks_.size() > kMaxAttacks) attacks_.pop_back();
  return response.attack();
}

absl::Status AttackDesk::DisarmAll() {
  Questions<v1::DisarmRequest, v1::DisarmResponse> questions;
  for (const auto& peer : peers_) questions.emplace_back().to = peer->stub.get();
  AskAll<v1::InfraControl, v1::DisarmRequest, v1::DisarmResponse>(questions, &Methods::Disarm,
                                                                  absl::Now() + kPatience);
  absl::Status first;
  for (const auto& question : questions) first.Update(question.status);
  return first;
}

// What was noticed there before the attack has other causes.
void AttackDesk::AddNotices(const RecordName& at, int64_t since_us, json& to) const {
  for (const Notice& notice : notes_.NoticesAt(at)) {
    if (notice.at_us < since_us) continue;
    to.push_back({{"kind", notice.kind}, {"detail", notice.detail}, {"at_us", notice.at_us}});
  }
}

json AttackDesk::InjectionJson(const v1::Injection& injection, int64_t since_us) const {
  const auto stream = StreamId::FromBytes(injection.stream());
  const auto placed = StreamId::FromBytes(injection.placed().stream());
  json notices = json::array();
  std::string opened;
  if (stream.ok()) {
    AddNotices({*stream, injection.sequence()}, since_us, notices);
    const auto digest = notes_.Opened({*stream, injection.sequence()});
    if (digest.has_value()) opened = digest->ToHex();
  }
  // Where it was put instead, when that is another place.
  const bool elsewhere = placed.ok() && (!stream.ok() || *placed != *stream ||
                                         injection.placed_sequence() != injection.sequence());
  if (elsewhere) AddNotices({*placed, injection.placed_sequence()}, since_us, notices);
  return {{"at_us", injection.at_us()},
          {"listener", Cut(injection.listener())},
          {"direction", Cut(injection.direction())},
          {"topic", Cut(injection.topic())},
          {"sender", ToHex(AsBytes(Cut(injection.sender())))},
          {"stream", ToHex(AsBytes(Cut(injection.stream())))},
          {"epoch", injection.epoch()},
          {"sequence", injection.sequence()},
          {"original_sha256", ToHex(AsBytes(Cut(injection.original_sha256())))},
          {"injected_sha256", ToHex(AsBytes(Cut(injection.injected_sha256())))},
          {"detail", Cut(injection.detail())},
          {"ended_us", injection.ended_us()},
          {"refused_code", injection.refused_code()},
          {"refused_reason", Cut(injection.refused_reason())},
          {"opened_sha256", opened},
          {"notices", std::move(notices)}};
}

json AttackDesk::AttackJson(const Attack& attack, bool armed) const {
  json done = json::array();
  for (const v1::Injection& injection : attack.injections.injections())
    done.push_back(InjectionJson(injection, attack.armed_us));
  return {{"equipment", attack.remote},
          {"attack", attack.number},
          {"kind", Word(v1::AttackKind_Name(attack.request.kind()))},
          {"target", Word(v1::AttackTarget_Name(attack.request.target()))},
          {"listener", attack.request.listener()},
          {"topic_prefix", attack.request.topic_prefix()},
          {"count", attack.request.count()},
          {"armed_us", attack.armed_us},
          {"armed", armed},
          {"injected", attack.injected},
          {"injections", std::move(done)}};
}

namespace {

json PeerJson(const RemoteOptions& of, const absl::Status& status, const v1::ListenersResponse& said) {
  json listeners = json::array();
  for (int i = 0; i < std::min(said.listeners_size(), kMaxListeners); ++i) {
    const v1::Listener& listener = said.listeners(i);
    json next_hops = json::array();
    for (int j = 0; j < std::min(listener.next_hops_size(), kMaxListeners); ++j)
      next_hops.push_back(Cut(listener.next_hops(j)));
    listeners.push_back({{"name", Cut(listener.name())},
                         {"ends_tls", listener.ends_tls()},
                         {"next_hops", std::move(next_hops)}});
  }
  json armed = json::array();
  for (int i = 0; i < std::min(said.armed_size(), kMaxArmed); ++i) armed.push_back(said.armed(i).attack());
  return {{"name", of.name},
          {"address", of.address},
          {"error", status.ok() ? "" : WhyNot(of, status)},
          {"listeners", std::move(listeners)},
          {"armed", std::move(armed)}};
}

}  // namespace

void AttackDesk::AskForInjections(const std::set<std::string>& answering, absl::Time deadline) {
  Questions<v1::InjectionsRequest, v1::InjectionsResponse> questions;
  std::vector<std::pair<std::string, uint64_t>> of;
  {
    absl::MutexLock lock(&mutex_);
    for (const Attack& attack : attacks_) {
      if (!answering.contains(attack.remote)) continue;
      auto& question = questions.emplace_back();
      question.to = Find(attack.remote)->stub.get();
      question.request.set_attack(attack.number);
      of.emplace_back(attack.remote, attack.number);
    }
  }
  AskAll<v1::InfraControl, v1::InjectionsRequest, v1::InjectionsResponse>(questions, &Methods::Injections,
                                                                          deadline);
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < questions.size(); ++i) {
    const auto at = std::ranges::find_if(attacks_, [&](const Attack& attack) {
      return attack.remote == of[i].first && attack.number == of[i].second;
    });
    if (at == attacks_.end() || !questions[i].status.ok()) continue;
    auto& injections = *questions[i].response.mutable_injections();
    at->injected = injections.size();
    if (injections.size() > kMaxInjectionsShown)
      injections.DeleteSubrange(kMaxInjectionsShown, injections.size() - kMaxInjectionsShown);
    at->injections = std::move(questions[i].response);
  }
}

json AttackDesk::Report() {
  absl::MutexLock asking(&asking_);
  const absl::Time deadline = absl::Now() + kPatience;  // for all of it
  Questions<v1::ListenersRequest, v1::ListenersResponse> questions;
  for (const auto& peer : peers_) questions.emplace_back().to = peer->stub.get();
  AskAll<v1::InfraControl, v1::ListenersRequest, v1::ListenersResponse>(questions, &Methods::Listeners,
                                                                        deadline);
  json equipment = json::array();
  std::set<std::string> answering;
  std::set<std::pair<std::string, uint64_t>> armed;
  for (size_t i = 0; i < peers_.size(); ++i) {
    const RemoteOptions& of = *peers_[i]->of;
    equipment.push_back(PeerJson(of, questions[i].status, questions[i].response));
    if (questions[i].status.ok()) answering.insert(of.name);
    for (const v1::ArmedAttack& attack : questions[i].response.armed())
      armed.insert({of.name, attack.attack()});
  }
  AskForInjections(answering, deadline);
  absl::MutexLock lock(&mutex_);
  json attacks = json::array();
  for (const Attack& attack : attacks_)
    attacks.push_back(AttackJson(attack, armed.contains({attack.remote, attack.number})));
  return {{"equipment", std::move(equipment)}, {"attacks", std::move(attacks)}};
}

}  // namespace keystead::console
