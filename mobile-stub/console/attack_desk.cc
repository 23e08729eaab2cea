#include "mobile-stub/console/attack_desk.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/infra.grpc.pb.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr absl::Duration kPatience = absl::Seconds(3);
constexpr int kMaxInjectionsShown = 50;  // of one attack

// "ATTACK_ACK_AND_DROP" is "ack_and_drop" to the page; nothing where nothing is said.
std::string Word(const std::string& name) {
  const std::string word = absl::AsciiStrToLower(name.substr(name.find('_') + 1));
  return word == "unspecified" ? "" : word;
}

json NoticeJson(const Notice& notice) {
  return {{"kind", notice.kind}, {"detail", notice.detail}, {"at_us", notice.at_us}};
}

}  // namespace

struct AttackDesk::Peer {
  const RemoteOptions* of = nullptr;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::InfraControl::Stub> stub;

  template <class Request, class Response>
  absl::Status Call(grpc::Status (v1::InfraControl::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                   Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    return FromGrpc((stub.get()->*method)(&context, request, response));
  }
};

absl::StatusOr<std::unique_ptr<AttackDesk>> AttackDesk::Open(std::vector<RemoteOptions> remotes,
                                                             const ReaderNotes* notes, const Clock* clock) {
  std::unique_ptr<AttackDesk> desk(new AttackDesk(std::move(remotes), notes, clock));
  absl::MutexLock lock(&desk->asking_);
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

AttackDesk::Peer* AttackDesk::Find(const std::string& name) {
  for (const auto& peer : peers_) {
    if (peer->of->name == name) return peer.get();
  }
  return nullptr;
}

absl::StatusOr<uint64_t> AttackDesk::Arm(const std::string& remote, const v1::ArmRequest& request) {
  absl::MutexLock lock(&asking_);
  Peer* const peer = Find(remote);
  if (peer == nullptr)
    return absl::NotFoundError(absl::StrCat("there is no equipment called '", remote, "'"));
  v1::ArmResponse response;
  KS_RETURN_IF_ERROR(peer->Call(&v1::InfraControl::Stub::Arm, request, &response));
  attacks_.push_front(
      {remote, response.attack(), request, absl::ToUnixMicros(clock_.Now()), v1::InjectionsResponse()});
  if (attacks_.size() > kMaxAttacks) attacks_.pop_back();
  return response.attack();
}

absl::Status AttackDesk::DisarmAll() {
  absl::MutexLock lock(&asking_);
  absl::Status first;
  for (const auto& peer : peers_) {
    v1::DisarmResponse response;
    first.Update(peer->Call(&v1::InfraControl::Stub::Disarm, v1::DisarmRequest(), &response));
  }
  return first;
}

json AttackDesk::InjectionJson(const v1::Injection& injection) const {
  const auto stream = StreamId::FromBytes(injection.stream());
  const auto placed = StreamId::FromBytes(injection.placed().stream());
  json notices = json::array();
  std::string opened;
  if (stream.ok()) {
    for (const Notice& notice : notes_.NoticesAt({*stream, injection.sequence()}))
      notices.push_back(NoticeJson(notice));
    const auto digest = notes_.Opened({*stream, injection.sequence()});
    if (digest.has_value()) opened = digest->ToHex();
  }
  // Where it was put instead, when that is another place.
  const bool elsewhere = placed.ok() && (!stream.ok() || *placed != *stream ||
                                         injection.placed_sequence() != injection.sequence());
  if (elsewhere) {
    for (const Notice& notice : notes_.NoticesAt({*placed, injection.placed_sequence()}))
      notices.push_back(NoticeJson(notice));
  }
  return {{"at_us", injection.at_us()},
          {"listener", injection.listener()},
          {"direction", injection.direction()},
          {"topic", injection.topic()},
          {"sender", ToHex(AsBytes(injection.sender()))},
          {"stream", ToHex(AsBytes(injection.stream()))},
          {"epoch", injection.epoch()},
          {"sequence", injection.sequence()},
          {"original_sha256", ToHex(AsBytes(injection.original_sha256()))},
          {"injected_sha256", ToHex(AsBytes(injection.injected_sha256()))},
          {"detail", injection.detail()},
          {"refused_code", injection.refused_code()},
          {"refused_reason", injection.refused_reason()},
          {"opened_sha256", opened},
          {"notices", std::move(notices)}};
}

json AttackDesk::AttackJson(Attack& attack, bool armed) {
  Peer* const peer = Find(attack.remote);
  v1::InjectionsRequest request;
  request.set_attack(attack.number);
  v1::InjectionsResponse injections;
  if (peer != nullptr && peer->Call(&v1::InfraControl::Stub::Injections, request, &injections).ok())
    attack.injections = std::move(injections);
  json done = json::array();
  for (int i = 0; i < std::min(attack.injections.injections_size(), kMaxInjectionsShown); ++i)
    done.push_back(InjectionJson(attack.injections.injections(i)));
  return {{"equipment", attack.remote},
          {"attack", attack.number},
          {"kind", Word(v1::AttackKind_Name(attack.request.kind()))},
          {"target", Word(v1::AttackTarget_Name(attack.request.target()))},
          {"listener", attack.request.listener()},
          {"topic_prefix", attack.request.topic_prefix()},
          {"count", attack.request.count()},
          {"armed_us", attack.armed_us},
          {"armed", armed},
          {"injected", attack.injections.injections_size()},
          {"injections", std::move(done)}};
}

json AttackDesk::PeerJson(Peer& peer) {
  v1::ListenersResponse response;
  const absl::Status status =
      peer.Call(&v1::InfraControl::Stub::Listeners, v1::ListenersRequest(), &response);
  json listeners = json::array();
  for (const v1::Listener& listener : response.listeners()) {
    listeners.push_back(
        {{"name", listener.name()},
         {"ends_tls", listener.ends_tls()},
         {"next_hops", std::vector<std::string>(listener.next_hops().begin(), listener.next_hops().end())}});
  }
  json armed = json::array();
  for (const v1::ArmedAttack& attack : response.armed()) armed.push_back(attack.attack());
  return {{"name", peer.of->name},
          {"address", peer.of->address},
          {"error", status.ok() ? "" : WhyNot(*peer.of, status)},
          {"listeners", std::move(listeners)},
          {"armed", std::move(armed)}};
}

json AttackDesk::Report() {
  absl::MutexLock lock(&asking_);
  json equipment = json::array();
  std::set<std::pair<std::string, uint64_t>> armed;
  for (const auto& peer : peers_) {
    json one = PeerJson(*peer);
    for (const json& number : one["armed"]) armed.insert({peer->of->name, number.get<uint64_t>()});
    equipment.push_back(std::move(one));
  }
  json attacks = json::array();
  for (Attack& attack : attacks_)
    attacks.push_back(AttackJson(attack, armed.contains({attack.remote, attack.number})));
  return {{"equipment", std::move(equipment)}, {"attacks", std::move(attacks)}};
}

}  // namespace keystead::console
