// keystead-hostile-tenant: whoever has valid certificates of one tenant, and every name of another's, asks a
// running backend for all of it by every RPC that aims at names. Says of each call what came, and whether the
// answer was that for what does not exist. And, so that one sees what there would be to get, asks as the
// owners.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "backend/policy.h"
#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "core/program/program.h"
#include "core/transport/group_view.h"
#include "keystead/v1/admin.pb.h"
#include "keystead/v1/observer.pb.h"
#include "keystead/v1/registry.pb.h"
#include "keystead/v1/transport.pb.h"
#include "tests/isolation/exchange.h"
#include "tests/isolation/household.h"
#include "tests/isolation/requests.h"
#include "tests/load/engine.h"

namespace keystead::testing {
namespace {

using nlohmann::json;
using Channel = std::shared_ptr<grpc::Channel>;

const std::set<std::string> kByProof = {"Rendezvous", "Enrollment", "Revocation"};  // not by names
constexpr char kNoTenant[] = "none.keystead.example";                               // registered nowhere

struct Arguments {
  std::string address, server, roots, received;
};

// Where a record of the victim stands.
struct Place {
  Topic topic = Topic::Keyring();
  MemberId sender;
  StreamId stream;
  uint64_t epoch = 0;
  uint64_t sequence = 0;  // that the attacker writes
};

struct Victim {
  TenantName tenant;
  InstantiationId id;
  std::vector<Place> places;
};

// One thing to try: an RPC, at an object.
struct Cell {
  std::string method;
  std::string object;
  const Place* place = nullptr;
};

template <class T>
T IdOf(const json& hex) {
  const absl::StatusOr<Bytes> bytes = FromHex(hex.get<std::string>());
  return bytes.ok() ? T::FromBytes(*bytes).value() : throw std::invalid_argument("an id that is no hex");
}

// Throws where the input is not as the README says.
Victim VictimOf(const json& from) {
  Victim out{TenantName::Parse(from.at("tenant").get<std::string>()).value(),
             IdOf<InstantiationId>(from.at("instantiation")),
             {}};
  for (const json& place : from.at("places")) {
    out.places.push_back({Topic::Parse(place.at("topic").get<std::string>()).value(),
                          IdOf<MemberId>(place.at("sender")), IdOf<StreamId>(place.at("stream")),
                          place.at("epoch").get<uint64_t>(), place.at("sequence").get<uint64_t>()});
  }
  return out;
}

// All that one can aim at with names. Mailboxes, enrollments and revocations go by secrets and signatures.
std::vector<Cell> CellsOf(const Victim& victim) {
  std::vector<Cell> out;
  for (const auto* service : backend::ServedServices()) {
    if (kByProof.contains(service->name())) continue;
    for (const std::string& method : MethodsOf(*service)) {
      const bool to_places = service->name() == "Transport" || service->name() == "Observer";
      if (!to_places) out.push_back({method, service->name() == "TenantAdmin" ? "tenant" : "instantiation"});
      for (const Place& place : victim.places) {
        if (to_places) out.push_back({method, place.topic.str(), &place});
      }
    }
  }
  return out;
}

std::string PublishTo(const Victim& victim, const Place& place) {
  GroupBuilder builder({victim.tenant, victim.id, place.topic, place.sender, place.epoch, place.stream});
  if (!builder.Append(place.sequence, AsBytes("of the attacker's making")).ok()) std::abort();
  v1::PublishRequest request;
  request.add_groups(*builder.Take());
  return request.SerializeAsString();
}

// `commit`: a well-made one, of another chain.
std::string RequestFor(const Cell& cell, const Victim& victim, const std::string& commit) {
  if (absl::EndsWith(cell.method, "Transport/Publish")) return PublishTo(victim, *cell.place);
  const Filling filling = {{"tenant", victim.tenant.str()},
                           {"instantiation", victim.id.ToString()},
                           {"topic", cell.place == nullptr ? "" : cell.place->topic.str()},
                           {"sender", cell.place == nullptr ? "" : cell.place->sender.ToString()},
                           {"stream", cell.place == nullptr ? "" : cell.place->stream.ToString()},
                           {"bundle", commit}};
  const auto services = backend::ServedServices();
  return RequestsTo(cell.method, services, {&filling, 1}).back();
}

// A group that is refused is refused inside the call, which itself ends well.
void TakeRefusal(Answer& answer) {
  v1::PublishResponse response;
  if (answer.responses.size() != 1 || !response.ParseFromString(answer.responses[0]) ||
      response.refusals_size() != 1)
    return;
  answer.code = static_cast<grpc::StatusCode>(response.refusals(0).code());
  answer.message = response.refusals(0).reason();
  answer.responses.clear();
}

struct Timed {
  Answer answer;
  double micros = 0;
};

Timed Ask(const Channel& channel, const std::string& method, const std::string& request) {
  const bool live = absl::EndsWith(method, "Transport/Subscribe");
  const absl::Time begin = absl::Now();
  Timed out{
      Exchange(channel, method, request,
               live ? [](const std::string&) { return true; } : std::function<bool(const std::string&)>())};
  out.micros = absl::ToDoubleMicroseconds(absl::Now() - begin);
  if (absl::EndsWith(method, "Transport/Publish")) TakeRefusal(out.answer);
  return out;
}

bool Names(const std::string& text, const Victim& victim, const Place* place) {
  std::vector<std::string> names = {victim.tenant.str(), victim.id.ToString(), ToHex(victim.id.view())};
  if (place != nullptr) {
    names.push_back(place->sender.ToString());
    names.push_back(ToHex(place->sender.view()));
  }
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return absl::StrContains(text, name); });
}

class Attacker {
 public:
  Attacker(Channel channel, SpiffeId id, std::string received)
      : channel_(std::move(channel)), id_(std::move(id)), received_(std::move(received)) {}

  // One line for each cell. Whether victim or decoy comes first is drawn each time.
  void Try(const Victim& victim, const std::string& commit) {
    Victim elsewhere = victim;  // of nobody, in the same tenant; and in none
    elsewhere.id = RandomSource::System().NewId<InstantiationId>();
    Victim nowhere = elsewhere;
    nowhere.tenant = *TenantName::Parse(kNoTenant);
    for (const Cell& cell : CellsOf(victim)) {
      const bool by_tenant = cell.object == "tenant";  // there the tenant's name alone decides
      const Victim& decoy = by_tenant ? nowhere : elsewhere;
      const std::string request = RequestFor(cell, victim, commit);
      const std::string other = RequestFor(cell, decoy, commit);
      const bool first = (random_() & 1) != 0;
      int refused = 0;  // of the calls for this cell
      const auto ask = [&](const std::string& what) {
        Timed out = Ask(channel_, cell.method, what);
        if (out.answer.code == grpc::NOT_FOUND || out.answer.code == grpc::PERMISSION_DENIED) ++refused;
        return out;
      };
      Timed theirs, absent;
      if (first) theirs = ask(request);
      absent = ask(other);
      if (!first) theirs = ask(request);
      const bool same = theirs.answer.Bytes() == absent.answer.Bytes() &&
                        (by_tenant || id_.tenant() == victim.tenant ||
                         ask(RequestFor(cell, nowhere, commit)).answer.Bytes() == theirs.answer.Bytes());
      Tell(victim, cell, theirs, absent, same, refused);
    }
  }

 private:
  void Tell(const Victim& victim, const Cell& cell, const Timed& theirs, const Timed& absent, bool same,
            int refused) const {
    Answer error = theirs.answer;
    error.responses.clear();
    if (!received_.empty()) {
      std::ofstream file(received_, std::ios::binary | std::ios::app);
      for (const std::string& response : theirs.answer.responses) file << response;
    }
    std::cout << json{{"attacker", id_.str()},
                      {"victim", victim.tenant.str()},
                      {"instantiation", ToHex(victim.id.view())},
                      {"rpc", cell.method.substr(cell.method.find_last_of('.') + 1)},
                      {"object", cell.object},
                      {"code", theirs.answer.code},
                      {"message", theirs.answer.message},
                      {"responses", theirs.answer.responses.size()},
                      {"same_as_absent", same},
                      {"refused_calls", refused},
                      {"names_victim", Names(theirs.answer.Bytes(), victim, cell.place)},
                      {"error_names_victim", Names(error.Bytes(), victim, cell.place)},
                      {"us", theirs.micros},
                      {"absent_us", absent.micros}}
                     .dump()
              << '\n';
  }

  Channel channel_;
  SpiffeId id_;
  std::string received_;
  std::mt19937 random_{std::random_device{}()};  // else every attacker's draws are the same ones
};

// As its owner: how many groups and commits there are, and a digest of all their bytes and places.
json LookAt(const Channel& owner, const Victim& victim) {
  v1::SubscribeRequest subscribe;
  subscribe.set_tenant(victim.tenant.str());
  subscribe.set_instantiation(victim.id.ToString());
  std::set<std::string> topics;
  for (const Place& place : victim.places) topics.insert(place.topic.str());
  for (const std::string& topic : topics) subscribe.add_topics()->set_topic(topic);
  std::map<uint32_t, std::string> seen;
  int caught_up = 0;
  int groups = 0;
  const Answer read = Exchange(owner, "/keystead.v1.Transport/Subscribe", subscribe.SerializeAsString(),
                               [&](const std::string& bytes) {
                                 v1::SubscribeResponse response;
                                 response.ParseFromString(bytes);
                                 for (const v1::TopicEntries& topic : response.topics()) {
                                   caught_up += topic.caught_up() ? 1 : 0;
                                   groups += topic.groups_size();
                                   std::string& text = seen[topic.topic()];
                                   uint64_t offset = topic.first_offset();
                                   for (const std::string& group : topic.groups())
                                     absl::StrAppend(&text, offset++, " ", group);
                                 }
                                 return caught_up == subscribe.topics_size();
                               });
  v1::FetchCommitsRequest fetch;
  fetch.set_tenant(victim.tenant.str());
  fetch.set_instantiation(victim.id.ToString());
  const Answer commits = Exchange(owner, "/keystead.v1.Registry/Fetch", fetch.SerializeAsString());
  std::string all;
  for (const auto& [topic, text] : seen) absl::StrAppend(&all, topic, ": ", text, "\n");
  for (const std::string& response : commits.responses) absl::StrAppend(&all, response);
  return {{"tenant", victim.tenant.str()},
          {"instantiation", ToHex(victim.id.view())},
          {"code", read.code != grpc::StatusCode::OK ? read.code : commits.code},
          {"caught_up", caught_up == subscribe.topics_size()},
          {"groups", groups},
          {"commits", commits.responses.size()},
          {"sha256", ToHex(crypto::Sha256(AsBytes(all)).view())}};
}

absl::Status Play(const Arguments& arguments, bool attack) {
  const json input = json::parse(std::cin);
  KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(arguments.server));
  for (const json& caller : input.at("callers")) {
    KS_ASSIGN_OR_RETURN(const SpiffeId id, SpiffeId::Parse(caller.at("id").get<std::string>()));
    const CertificateFiles files{caller.at("chain").get<std::string>(), caller.at("key").get<std::string>(),
                                 arguments.roots};
    KS_ASSIGN_OR_RETURN(const Channel channel, load::DialAs({arguments.address, server}, {id, files}));
    Attacker attacker(channel, id, arguments.received);
    std::map<TenantName, std::string> commits;  // of households that are nobody's
    for (const json& one : caller.at("victims")) {
      const Victim victim = VictimOf(one);
      if (attack) {
        std::string& commit = commits[victim.tenant];
        if (commit.empty()) commit = Household(victim.tenant, "decoy").bundles().front();
        attacker.Try(victim, commit);
      } else {
        std::cout << LookAt(channel, victim).dump() << '\n';
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace keystead::testing

int main(int argc, char** argv) {
  using keystead::testing::Arguments;
  keystead::Program program(
      "keystead-hostile-tenant",
      "Asks a backend, with valid certificates of one tenant, for all of another's; and "
      "as the owners, for their own. Who asks for what is JSON on standard input.",
      "KEYSTEAD_TENANT");
  Arguments arguments;
  CLI::App& app = program.app();
  app.add_option("--backend", arguments.address, "HOST:PORT")->required();
  app.add_option("--backend-id", arguments.server, "its SPIFFE id")->required();
  app.add_option("--roots", arguments.roots, "what it is verified against")->required();
  app.require_subcommand(1);
  CLI::App& attack = *app.add_subcommand("attack", "a line of JSON for each RPC at each object");
  attack.add_option("--received", arguments.received, "the file that gets the bytes of all answers");
  app.add_subcommand("look", "a line of JSON for each instantiation: what its owner gets");
  return program.Run(argc, argv, [&]() -> absl::Status {
    try {
      return keystead::testing::Play(arguments, attack.parsed());
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(
          absl::StrCat("standard input is not what tests/isolation/README.md says: ", error.what()));
    }
  });
}
