// What a peer on the LAN is told says nothing of the gateway's machine, nor of its next hop; and who is no
// member of the home learns nothing of the home: whatever is asked, of whichever RPC, and whatever has gone
// wrong inside.
#include <gmock/gmock.h>
#include <unistd.h>

#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/identity/revocations.h"
#include "core/program/state_folder.h"
#include "core/storage/fault_injection_fs.h"
#include "core/transport/status_mapping.h"
#include "gateway/policy.h"
#include "tests/isolation/exchange.h"
#include "tests/isolation/requests.h"
#include "tests/unit/gateway/gateway_fixture.h"
#include "tests/unit/transport/test_server.h"

namespace keystead::testing {
namespace {

using ::testing::IsSupersetOf;

constexpr std::string_view kBox = "a box of theirs!";
constexpr std::string_view kRecord = "what the bulb sealed";
constexpr std::string_view kHostsFolder = "folder-of-the-host";

struct Asker {
  Role role;
  std::string id;
  bool is_member;
};

class GatewayObservationTest : public GatewayTest {
 protected:
  GatewayObservationTest() {
    options_.state = absl::StrCat(folder_, "/", Absl(kHostsFolder));
    options_.file_system = fs_;
    const SecretBytes key = Secret(ReadAll(TestPki::Shared().tenant_folder(kAcme) + "/ca.key"));
    const Bytes revoked =
        *SignRevocations({.number = 1, .tenant = Tenant(kAcme), .text = "name device/lost"}, key);
    const StateFolder folder = *StateFolder::Open(options_.state);
    EXPECT_TRUE(folder.WriteChecked("revocations", {"ks-revocations", 1}, SecretBytes::CopyOf(revoked)).ok());
    upstream_.Mailboxes().put(*MailboxName::FromBytes(kBox), "something to await");
    StartInHome();
    PublishWitness witness;
    const auto device = Publish(Role::kDevice, "device-1", witness);
    const auto ticket = device->Enqueue(Group(Header(devices_[0]), 0, std::string(kRecord)));
    EXPECT_TRUE(ticket.ok());
    witness.AwaitDurable(*ticket);
  }

  // Nobody's business on the LAN, in the forms in which it could leave.
  std::vector<std::string> OfTheHost() const {
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    std::vector<std::string> out = {std::string(kHostsFolder), upstream_.address(), kNextHopsWords,
                                    kBackendId};
    for (const char* word : {"/tmp", "IO error", "rocksdb", "No space", ".cc", ".log", "127.0.0.1"})
      out.emplace_back(word);
    if (std::string(host).size() > 3) out.emplace_back(host);
    return out;
  }
  // The home's own business.
  std::vector<std::string> OfTheHome() const {
    const std::vector<std::string> plain = {home_.id().ToString(), home_.owner().ToString(), self_.ToString(),
                                            devices_[0].ToString(), std::string(kRecord)};
    std::vector<std::string> out = plain;
    for (const std::string& text : plain) {
      out.push_back(absl::BytesToHexString(text));
      out.push_back(absl::Base64Escape(text).substr(0, 12));
    }
    return out;
  }

  std::vector<Asker> Askers() const {
    return {{Role::kDevice, "device-1", true},      {Role::kApp, "phone", true},
            {Role::kDevice, "stranger", false},     {Role::kApp, "stranger", false},
            {Role::kGateway, "attic", false},       {Role::kThirdParty, "console", false},
            {Role::kAdmin, "administrator", false}, {Role::kFactory, "device.newcomer", false}};
  }

  // For what is there, and for what is not.
  std::vector<Filling> Fillings() const {
    const GroupHeader header = Header(devices_[0]);
    Filling here = {{"tenant", home_.tenant().str()},
                    {"instantiation", home_.id().ToString()},
                    {"topic", Telemetry(1).str()},
                    {"groups", *Group(header, 1, "later")},
                    {"bundle", "a commit"},
                    {"box", std::string(kBox)},
                    {"message", "x"},
                    {"object", "no revocations"},
                    {"factory_chain", "a chain"},
                    {"proof", "a proof"}};
    Filling elsewhere = here;
    elsewhere["instantiation"] = NumberedId<InstantiationId>(99).ToString();
    return {here, elsewhere};
  }

  // Calls everything as everybody, and looks through all that comes back. What a long poll waits for is
  // there, but behind a next hop that is away.
  void AskEverything() {
    const std::vector<Filling> fillings = Fillings();
    for (const Asker& asker : Askers()) {
      const auto channel = Dial(asker.role, asker.id);
      for (const std::string& method : gateway::MakePolicy().Methods()) {
        const bool live = absl::EndsWith(method, "/Subscribe") || absl::EndsWith(method, "/Watch");
        for (const std::string& request : RequestsTo(method, gateway::ServedServices(), fillings)) {
          const Answer answer = Exchange(
              channel, method, request,
              live ? [](const std::string&) { return true; } : std::function<bool(const std::string&)>());
          Look(absl::StrCat(method, " as ", Absl(RoleName(asker.role)), "/", asker.id), asker, answer);
        }
      }
    }
  }

  void Look(const std::string& what, const Asker& asker, const Answer& answer) {
    codes_.insert(answer.code);
    const auto code = static_cast<absl::StatusCode>(answer.code);
    if (answer.code != grpc::StatusCode::OK && !IsGrpcsOwn(answer))
      EXPECT_EQ(answer.message, std::string(PublicSentence(code))) << what;
    const std::string bytes = answer.Bytes();
    for (const std::string& word : OfTheHost())
      EXPECT_EQ(bytes.find(word), std::string::npos) << what << ": " << absl::CEscape(word);
    ++looked_at_;
    if (asker.is_member) return;
    for (const std::string& word : OfTheHome())
      EXPECT_EQ(bytes.find(word), std::string::npos) << what << ": " << absl::CEscape(word);
  }

  // What gRPC itself says of bytes that are no message.
  static bool IsGrpcsOwn(const Answer& answer) {
    return answer.message == "could not parse request" ||
           (answer.code == grpc::StatusCode::UNIMPLEMENTED && answer.message.empty());
  }

  const std::shared_ptr<storage::FaultInjectionFs> fs_ = std::make_shared<storage::FaultInjectionFs>();
  std::set<grpc::StatusCode> codes_;
  size_t looked_at_ = 0;
};

TEST_F(GatewayObservationTest, TheSearchSeesWhatIsThere) {
  ReadWitness reader;
  const auto phone = Subscribe(Role::kApp, "phone", reader, {Telemetry(1)});
  reader.AwaitRecords(1);
  EXPECT_EQ(reader.records()[Telemetry(1).str()][0].second, kRecord);
  const std::string request = RequestsTo("/keystead.v1.Transport/Subscribe", gateway::ServedServices(),
                                         std::vector<Filling>{Fillings()[0]})
                                  .back();
  const Answer answer =
      Exchange(Dial(Role::kApp, "phone"), "/keystead.v1.Transport/Subscribe", request,
               [](const std::string& response) { return response.find(kRecord) != std::string::npos; });
  size_t found = 0;
  for (const std::string& word : OfTheHome()) found += answer.Bytes().find(word) != std::string::npos;
  EXPECT_GE(found, 3u) << "instantiation, device, record";
}

TEST_F(GatewayObservationTest, NothingOfTheHomeForStrangersWhenAllIsWell) {
  AskEverything();
  EXPECT_GT(looked_at_, 300u);
  EXPECT_THAT(codes_,
              IsSupersetOf({grpc::StatusCode::OK, grpc::StatusCode::NOT_FOUND,
                            grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::PERMISSION_DENIED}));
}

TEST_F(GatewayObservationTest, NothingOfWhatTheNextHopSays) {
  upstream_.tells = true;
  AskEverything();
  EXPECT_TRUE(codes_.contains(grpc::StatusCode::ABORTED)) << "said by the next hop";
}

TEST_F(GatewayObservationTest, NothingOfWhereTheNextHopIsWhenItIsAway) {
  upstream_.Stop();
  AskEverything();
  EXPECT_TRUE(codes_.contains(grpc::StatusCode::UNAVAILABLE));
}

TEST_F(GatewayObservationTest, NothingOfTheHostWhenTheDiskIsFull) {
  fs_->SetFreeBytes(0);
  AskEverything();
  EXPECT_TRUE(codes_.contains(grpc::StatusCode::RESOURCE_EXHAUSTED));
  fs_->SetFreeBytes(std::nullopt);
}

TEST_F(GatewayObservationTest, NothingOfTheHostWhenTheDiskFails) {
  fs_->FailSyncs(true);
  AskEverything();
  EXPECT_TRUE(codes_.contains(grpc::StatusCode::UNAVAILABLE));
  fs_->FailSyncs(false);
}

}  // namespace
}  // namespace keystead::testing
