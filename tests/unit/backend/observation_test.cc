// What comes back to a peer of one tenant says nothing of another, nor of the machine: whatever is asked, of
// whichever RPC, and whatever has gone wrong inside.
#include <gmock/gmock.h>
#include <unistd.h>

#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backend/policy.h"
#include "core/identity/revocations.h"
#include "core/observe/metrics.h"
#include "core/observe/process_metrics.h"
#include "core/storage/fault_injection_fs.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/revocation.grpc.pb.h"
#include "tests/isolation/exchange.h"
#include "tests/isolation/requests.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

constexpr std::string_view kHostsFolder = "folder-of-the-host";
constexpr std::string_view kTheirBox = "their own box 16";
constexpr std::string_view kTheirMessage = "what they told each other";
constexpr std::string_view kTheirRecord = "what their bulb sealed";
constexpr std::string_view kTheirLostDevice = "their-lost-lamp";

class ObservationTest : public BackendTest {
 protected:
  ObservationTest() {
    options_.store.path = absl::StrCat(TestPki::Shared().NewFolder(), "/", Absl(kHostsFolder));
    options_.store.file_system = fs_;
    options_.store.retry_interval = absl::Milliseconds(20);
    options_.observer = true;
    Restart();
    Furnish(ours_);
    their_bulb_ = MakeResident(MemberKind::kDevice, Uri(kGlobex, Role::kDevice, "their-bulb"));
    const std::string bundle = theirs_.Make({&their_bulb_});
    EXPECT_TRUE(Spy().Submit(theirs_, bundle).ok());
    theirs_.Take(bundle);
    their_topic_ = Topic::Of(TopicKind::kTelemetry, their_bulb_.entry.member);
    EXPECT_TRUE(As(kGlobex, Role::kDevice, "their-bulb").Publish(GroupOf(theirs_, 0)).status.ok());
    EXPECT_TRUE(Spy().Put(*MailboxName::FromBytes(kTheirBox), std::string(kTheirMessage)).ok());
    EXPECT_TRUE(Phone().Put(*MailboxName::FromBytes(kTheirBox), "x").ok());  // ours of that name
    Revoke(Spy(), kGlobex, kTheirLostDevice);
    Revoke(Phone(), kAcme, "lost");
  }

  static void Revoke(Peer& peer, std::string_view tenant, std::string_view device) {
    const SecretBytes key = Secret(ReadAll(TestPki::Shared().tenant_folder(tenant) + "/ca.key"));
    v1::PutRevocationsRequest request;
    request.set_object(ToString(*SignRevocations(
        {.number = 1, .tenant = Tenant(tenant), .text = absl::StrCat("name device/", Absl(device))}, key)));
    v1::PutRevocationsResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(v1::Revocation::NewStub(peer.channel())->Put(&context, request, &response).ok());
  }

  std::string GroupOf(const Home& home, uint64_t sequence) const {
    const bool is_ours = home.id() == ours_.id();
    const MemberId& sender = is_ours ? bulb_.entry.member : their_bulb_.entry.member;
    return Group(home, sender, Topic::Of(TopicKind::kTelemetry, sender), home.chain().epoch(), NewStream(),
                 sequence, is_ours ? "ours" : kTheirRecord);
  }

  // Everything that is theirs or the host's, in the forms in which it could leave.
  std::vector<std::string> Canaries() const {
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    const std::string id = theirs_.id().ToString();
    const std::string member = their_bulb_.entry.member.ToString();
    std::vector<std::string> plain = {std::string(kGlobex),
                                      id,
                                      member,
                                      std::string(kTheirMessage),
                                      std::string(kTheirRecord),
                                      std::string(kHostsFolder),
                                      std::string(kTheirLostDevice)};
    std::vector<std::string> out = plain;
    for (const std::string& text : plain) {
      out.push_back(absl::BytesToHexString(text));
      out.push_back(absl::Base64Escape(text).substr(0, 12));
    }
    for (const char* word : {"/tmp", "IO error", "rocksdb", "No space", ".cc", ".log", "tenant number"})
      out.emplace_back(word);
    if (std::string(host).size() > 3) out.emplace_back(host);
    return out;
  }

  // A request for what is ours, and one for what is theirs.
  Filling FillingFor(Home& home) {
    return {{"tenant", home.tenant().str()},
            {"instantiation", home.id().ToString()},
            {"topic", their_topic_.str()},
            {"groups", GroupOf(home, 7)},
            {"bundle", home.Make()},
            {"box", std::string(kTheirBox)},
            {"message", "x"}};
  }

  // Calls everything as everybody of ours, and looks through all that comes back. What a long poll waits for
  // is there.
  void AskEverything() {
    for (const std::string& method : backend::MakePolicy().Methods()) {
      const bool live = absl::EndsWith(method, "/Subscribe") || absl::EndsWith(method, "/Watch");
      const Filling fillings[] = {FillingFor(ours_), FillingFor(theirs_)};
      for (const Role role : {Role::kDevice, Role::kApp, Role::kGateway, Role::kThirdParty, Role::kAdmin}) {
        Peer& peer = As(kAcme, role, IdOf(role));
        for (const std::string& request : RequestsTo(method, backend::ServedServices(), fillings)) {
          const Answer answer = Exchange(
              peer.channel(), method, request,
              live ? [](const std::string&) { return true; } : std::function<bool(const std::string&)>());
          Look(absl::StrCat(method, " as ", Absl(RoleName(role))), answer);
          if (absl::EndsWith(method, "Revocation/Fetch")) revocations_ += answer.responses.size();
        }
      }
    }
  }

  void Look(const std::string& what, const Answer& answer) {
    codes_.insert(answer.code);
    const auto code = static_cast<absl::StatusCode>(answer.code);
    if (answer.code != grpc::StatusCode::OK && !IsGrpcsOwn(answer))
      EXPECT_EQ(answer.message, std::string(PublicSentence(code))) << what;
    const std::string bytes = answer.Bytes();
    for (const std::string& canary : Canaries())
      EXPECT_EQ(bytes.find(canary), std::string::npos) << what << ": " << absl::CEscape(canary);
    ++looked_at_;
  }

  static std::string_view IdOf(Role role) {
    return role == Role::kDevice    ? "bulb"
           : role == Role::kApp     ? "phone"
           : role == Role::kGateway ? "hall"
           : role == Role::kAdmin   ? "administrator"
                                    : "console";
  }

  // What gRPC itself says of bytes that are no message.
  static bool IsGrpcsOwn(const Answer& answer) {
    return answer.message == "could not parse request" ||
           (answer.code == grpc::StatusCode::UNIMPLEMENTED && answer.message.empty());
  }
  const std::shared_ptr<storage::FaultInjectionFs> fs_ = std::make_shared<storage::FaultInjectionFs>();
  Home ours_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  Home theirs_{kGlobex, Uri(kGlobex, Role::kApp, "spy")};
  Resident their_bulb_;
  Topic their_topic_ = Topic::Keyring();
  std::set<grpc::StatusCode> codes_;
  size_t looked_at_ = 0;
  size_t revocations_ = 0;  // of ours, that came back
};

TEST_F(ObservationTest, TheSearchSeesWhatIsThere) {
  std::vector<std::string> messages;
  ASSERT_TRUE(Spy().Await(*MailboxName::FromBytes(kTheirBox), 0, &messages).ok());
  ASSERT_EQ(messages, std::vector<std::string>{std::string(kTheirMessage)});
  const auto subscription = As(kGlobex, Role::kApp, "spy").Subscribe(theirs_, {their_topic_});
  const std::optional<std::string> group = subscription->Next();
  ASSERT_TRUE(group.has_value());
  size_t found = 0;
  for (const std::string& canary : Canaries()) found += group->find(canary) != std::string::npos;
  EXPECT_GE(found, 3u) << "tenant, instantiation, record";
  const Answer revoked =
      Exchange(As(kGlobex, Role::kAdmin, "eve").channel(), "/keystead.v1.Revocation/Fetch", "");
  EXPECT_EQ(revoked.code, grpc::StatusCode::OK);
  EXPECT_NE(revoked.Bytes().find(kTheirLostDevice), std::string::npos);
}

TEST_F(ObservationTest, NothingOfOthersWhenAllIsWell) {
  AskEverything();
  EXPECT_GT(looked_at_, 100u);
  EXPECT_GT(revocations_, 0u);
  EXPECT_THAT(codes_,
              ::testing::IsSupersetOf(
                  {grpc::StatusCode::OK, grpc::StatusCode::NOT_FOUND, grpc::StatusCode::INVALID_ARGUMENT,
                   grpc::StatusCode::PERMISSION_DENIED, grpc::StatusCode::FAILED_PRECONDITION}));
}

TEST_F(ObservationTest, NothingOfOthersOrOfTheHostWhenTheDiskIsFull) {
  fs_->SetFreeBytes(0);
  AskEverything();
  EXPECT_TRUE(codes_.contains(grpc::StatusCode::RESOURCE_EXHAUSTED) ||
              codes_.contains(grpc::StatusCode::UNAVAILABLE));
  fs_->SetFreeBytes(std::nullopt);
}

TEST_F(ObservationTest, NothingOfOthersOrOfTheHostWhenTheDiskFails) {
  fs_->FailSyncs(true);
  AskEverything();
  EXPECT_TRUE(codes_.contains(grpc::StatusCode::UNAVAILABLE));
  fs_->FailSyncs(false);
}

// Every event about a peer says whose it is.
TEST_F(ObservationTest, EveryEventAboutAPeerHasATenant) {
  absl::Mutex mutex;
  std::vector<SecurityEvent> events;
  const SecurityEventTap tap([&](const SecurityEvent& event) {
    absl::MutexLock lock(&mutex);
    events.push_back(event);
  });
  AskEverything();
  absl::MutexLock lock(&mutex);
  EXPECT_GT(events.size(), 20u);
  for (const SecurityEvent& event : events)
    EXPECT_FALSE(event.tenant.empty())
        << SecurityEventName(event.kind) << " " << event.peer << " " << event.detail;
}

// What an operator scrapes says how much, and by which tenant; never what, which product, or who.
TEST_F(ObservationTest, MetricsNameTenantsAndNothingThatTheySay) {
  SetMetricsWanted(true);
  const ProcessMetrics process;
  AskEverything();
  fs_->FailSyncs(true);
  AskEverything();
  fs_->FailSyncs(false);
  const std::string text = RenderMetrics();
  SetMetricsWanted(false);
  for (const std::string_view name : {kAcme, kGlobex}) {
    EXPECT_NE(text.find(absl::StrCat("keystead_tenant_records_total{tenant=\"", Absl(name), "\"} ")),
              std::string::npos)
        << "the search sees what is there: " << name;
  }
  for (const std::string& canary : Canaries()) {
    if (canary == kGlobex || canary == "tenant number") continue;
    EXPECT_EQ(text.find(canary), std::string::npos) << absl::CEscape(canary);
  }
  for (const std::string& id :
       {ours_.id().ToHex(), theirs_.id().ToHex(), bulb_.entry.member.ToHex(),
        their_bulb_.entry.member.ToHex(), std::string("spiffe:"), std::string("their-bulb"),
        std::string("/keystead.v1."), std::string("127.0.0.1")})
    EXPECT_EQ(text.find(id), std::string::npos) << id;
}

// By its own numbers a tenant cannot tell whether another is there.
TEST_F(ObservationTest, ATenantsOwnNumbersDoNotMoveWithThoseOfOthers) {
  const auto admin = v1::TenantAdmin::NewStub(As(kAcme, Role::kAdmin, "administrator").channel());
  const auto usage = [&] {
    grpc::ClientContext context;
    v1::UsageRequest request;
    request.set_tenant(std::string(kAcme));
    v1::UsageResponse out;
    EXPECT_TRUE(admin->Usage(&context, request, &out).ok());
    return out;
  };
  EXPECT_TRUE(As(kAcme, Role::kDevice, "bulb").Publish(GroupOf(ours_, 1)).status.ok());
  const v1::UsageResponse before = usage();
  EXPECT_GE(before.records_in(), 1u);
  EXPECT_GE(before.commits(), 1u);
  EXPECT_GE(before.stored_groups(), 1u);
  for (uint64_t sequence = 1; sequence <= 20; ++sequence)
    EXPECT_TRUE(As(kGlobex, Role::kDevice, "their-bulb").Publish(GroupOf(theirs_, sequence)).status.ok());
  const auto subscription = As(kGlobex, Role::kApp, "spy").Subscribe(theirs_, {their_topic_});
  ASSERT_TRUE(subscription->Next().has_value());
  const std::string bundle = theirs_.Make();
  EXPECT_TRUE(Spy().Submit(theirs_, bundle).ok());
  // The test's own peers may be leaving; all that is counted since the start stands still.
  v1::UsageResponse after = usage();
  for (v1::UsageResponse* const response : {&after}) {
    response->set_connections(before.connections());
    response->set_streams(before.streams());
  }
  EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString());
}

}  // namespace
}  // namespace keystead::testing
