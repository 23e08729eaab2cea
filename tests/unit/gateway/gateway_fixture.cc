#include "tests/unit/gateway/gateway_fixture.h"

#include <filesystem>
#include <thread>

#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "tests/unit/transport/test_server.h"

namespace keystead::testing {
namespace {

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "gateway_fixture: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

// Issuing runs a script: once per name and process.
const CertificateFiles& LeafOf(std::string_view tenant, Role role, const std::string& id,
                               bool server = false) {
  static auto* const leaves = new std::map<std::string, CertificateFiles>;
  const std::string key = std::string(tenant) + "/" + std::string(RoleName(role)) + "/" + id;
  if (const auto found = leaves->find(key); found != leaves->end()) return found->second;
  CertificateFiles files = TestPki::Shared().Leaf(tenant, role, id, server ? "--server" : "");
  files.roots = TestPki::Shared().tenant_folder(kAcme) + "/ca.pem";  // of whoever serves the LAN
  return leaves->emplace(key, files).first->second;
}

}  // namespace

GatewayTest::GatewayTest()
    : folder_(std::filesystem::path(::testing::TempDir()) /
              ("gateway_" + RandomSource::System().NewId<LogId>().ToHex())) {
  std::filesystem::create_directory(folder_);
  SetSecurityEventObserver([this](const SecurityEvent& event) {
    absl::MutexLock lock(&events_mutex_);
    ++events_[event.kind];
  });
  options_.clock = &clock_;
  options_.listen = "127.0.0.1:0";
  options_.files = LeafOf(kAcme, Role::kGateway, "hall", true);
  options_.upstream = upstream_.address();
  options_.upstream_id = kBackendId;
  options_.upstream_roots = TestPki::Shared().provider_roots();
  options_.state = folder_ + "/state";
  options_.label_out = folder_ + "/label";
  options_.stats_seconds = 0;
  options_.backoff = {.initial = absl::Milliseconds(20), .max = absl::Milliseconds(100)};
  options_.retry_refused = absl::Milliseconds(20);
}

GatewayTest::~GatewayTest() {
  gateway_.reset();
  upstream_.Stop();
  SetSecurityEventObserver(nullptr);
  std::filesystem::remove_all(folder_);
}

absl::Status GatewayTest::TryStart() {
  auto started = gateway::Gateway::Start(options_);
  if (!started.ok()) return started.status();
  gateway_ = *std::move(started);
  port_ = gateway_->port();
  options_.listen = "127.0.0.1:" + std::to_string(port_);
  return absl::OkStatus();
}

void GatewayTest::Start() {
  const absl::Status status = TryStart();
  ASSERT_TRUE(status.ok()) << status;
}

void GatewayTest::Stop(absl::Duration flush) {
  gateway_->Stop(flush);
  gateway_.reset();
}

void GatewayTest::StartInHome() {
  Start();
  JoinHome();
}

void GatewayTest::JoinHome() {
  self_ = home_.PairByLabel(options_.label_out, upstream_.Mailboxes());
  for (int i = 1; i <= 2; ++i)
    devices_.push_back(home_.AddDevice("spiffe://acme.keystead.example/device/device-" + std::to_string(i)));
  upstream_.Place({home_.Commit()});
  AwaitBelonging();
}

void GatewayTest::AwaitBelonging(bool belongs) {
  Await([&] { return gateway_->GetStats().lan.belongs == belongs; }, "belonging");
}

size_t GatewayTest::Events(SecurityEventKind kind) {
  absl::MutexLock lock(&events_mutex_);
  return events_[kind];
}

void GatewayTest::Await(const std::function<bool()>& condition, const char* what) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    ASSERT_LT(absl::Now(), deadline) << "waited in vain: " << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::shared_ptr<grpc::Channel> GatewayTest::Dial(Role role, const std::string& id,
                                                 std::string_view tenant) const {
  return DialChannel("127.0.0.1:" + std::to_string(port_),
                     Must(MakeChannelCredentials(
                         {.files = LeafOf(tenant, role, id)},
                         Must(PeerExpectation::Parse("spiffe://acme.keystead.example/gateway/hall")))),
                     {.own_connection = true});
}

std::unique_ptr<Publisher> GatewayTest::Publish(Role role, const std::string& id, PublishWitness& witness,
                                                PublisherOptions options) const {
  auto out = std::make_unique<Publisher>(Dial(role, id), witness.Callbacks(), options);
  out->Start();
  return out;
}

std::unique_ptr<Subscriber> GatewayTest::Subscribe(Role role, const std::string& id, ReadWitness& witness,
                                                   const std::vector<Topic>& topics) const {
  SubscriberOptions options = QuickSubscriber();
  options.tenant = home_.tenant();
  options.instantiation = home_.id();
  auto out = std::make_unique<Subscriber>(Dial(role, id), witness.Callbacks(), options);
  std::vector<SubscriberTopic> wanted;
  for (const Topic& topic : topics) wanted.push_back({.topic = topic});
  EXPECT_TRUE(out->Add(std::move(wanted)).ok());
  out->Start();
  return out;
}

GroupHeader GatewayTest::Header(const MemberId& sender, TopicKind kind, int stream) const {
  GroupHeader out;
  out.tenant = home_.tenant();
  out.instantiation = home_.id();
  out.topic = kind == TopicKind::kKeyring ? Topic::Keyring() : Topic::Of(kind, sender);
  out.sender = sender;
  out.epoch = home_.epoch();
  out.stream = NumberedId<StreamId>(stream);
  return out;
}

Payload GatewayTest::Group(const GroupHeader& header, uint64_t sequence, const std::string& content) const {
  return TestGroup(header, {{sequence, content}});
}

uint64_t GatewayTest::Send(Publisher& publisher, int device, uint64_t first, uint64_t last) const {
  const GroupHeader header = Header(devices_[device - 1]);
  uint64_t ticket = 0;
  for (uint64_t sequence = first; sequence <= last; ++sequence) {
    const auto sent = publisher.Enqueue(Group(header, sequence, "r" + std::to_string(sequence)));
    EXPECT_TRUE(sent.ok()) << sent.status();
    if (sent.ok()) ticket = *sent;
  }
  return ticket;
}

void GatewayTest::ExpectWhole(const TestUpstream::Records& records, uint64_t count) {
  ASSERT_EQ(records.size(), count);
  for (uint64_t i = 0; i < count; ++i) {
    ASSERT_EQ(records[i].first, i);
    ASSERT_EQ(records[i].second, "r" + std::to_string(i));
  }
}

}  // namespace keystead::testing
