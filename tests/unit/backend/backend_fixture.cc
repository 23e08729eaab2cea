#include "tests/unit/backend/backend_fixture.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/identity/tls_process.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"

namespace keystead::testing {
namespace {

// Before main, as the header of PinTls13Process asks.
[[maybe_unused]] const bool kPinned = [] {
  if (!PinTls13Process().ok()) std::abort();
  return true;
}();

constexpr absl::Duration kCallTimeout = absl::Seconds(20);

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "backend_fixture: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout = kCallTimeout) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

}  // namespace

std::string Uri(std::string_view tenant, Role role, std::string_view id) {
  return absl::StrCat("spiffe://", Absl(tenant), "/", Absl(RoleName(role)), "/", Absl(id));
}

OpenSubscription::OpenSubscription(v1::Transport::Stub& stub, const v1::SubscribeRequest& request) {
  SetDeadline(context_);
  reader_ = stub.Subscribe(&context_, request);
}

OpenSubscription::~OpenSubscription() {
  if (reader_ == nullptr) return;
  context_.TryCancel();
  End();
}

std::optional<std::string> OpenSubscription::Next() {
  v1::SubscribeResponse message;
  while (pending_.empty()) {
    if (!reader_->Read(&message)) return std::nullopt;
    for (const v1::TopicEntries& topic : message.topics())
      pending_.insert(pending_.end(), topic.groups().begin(), topic.groups().end());
  }
  std::string out = pending_.front();
  pending_.erase(pending_.begin());
  return out;
}

bool OpenSubscription::CaughtUp() {
  v1::SubscribeResponse message;
  while (reader_->Read(&message)) {
    for (const v1::TopicEntries& topic : message.topics()) {
      pending_.insert(pending_.end(), topic.groups().begin(), topic.groups().end());
      if (topic.caught_up()) return true;
    }
  }
  return false;
}

grpc::Status OpenSubscription::End() {
  v1::SubscribeResponse message;
  while (reader_->Read(&message)) {
  }
  grpc::Status status = reader_->Finish();
  reader_.reset();
  return status;
}

Peer::Peer(int port, const CertificateFiles& files) {
  const auto credentials = OrDie(MakeChannelCredentials(
      {.files = files},
      OrDie(PeerExpectation::Parse(absl::StrCat("spiffe://", kProvider, "/service/backend")))));
  ChannelOptions options;
  options.own_connection = true;
  channel_ = DialChannel(absl::StrCat("127.0.0.1:", port), credentials, options);
  transport_ = v1::Transport::NewStub(channel_);
  registry_ = v1::Registry::NewStub(channel_);
  rendezvous_ = v1::Rendezvous::NewStub(channel_);
}

grpc::Status Peer::Submit(const Home& home, const std::string& bundle, v1::SubmitCommitResponse* out) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::SubmitCommitRequest request;
  request.set_tenant(home.tenant().str());
  request.set_instantiation(home.id().ToString());
  request.set_bundle(bundle);
  v1::SubmitCommitResponse ignored;
  return registry_->Submit(&context, request, out == nullptr ? &ignored : out);
}

grpc::Status Peer::Fetch(const Home& home, uint64_t from, std::vector<std::string>* bundles) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::FetchCommitsRequest request;
  request.set_tenant(home.tenant().str());
  request.set_instantiation(home.id().ToString());
  request.set_from_epoch(from);
  v1::FetchCommitsResponse response;
  grpc::Status status = registry_->Fetch(&context, request, &response);
  bundles->assign(response.bundles().begin(), response.bundles().end());
  return status;
}

grpc::Status Peer::FetchFrom(std::string_view tenant, const InstantiationId& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::FetchCommitsRequest request;
  request.set_tenant(std::string(tenant));
  request.set_instantiation(id.ToString());
  v1::FetchCommitsResponse response;
  return registry_->Fetch(&context, request, &response);
}

PublishResult Peer::Publish(const std::string& group) {
  PublishResult out;
  grpc::ClientContext context;
  SetDeadline(context);
  auto stream = transport_->Publish(&context);
  v1::PublishRequest request;
  request.add_groups(group);
  stream->Write(request);
  stream->WritesDone();
  v1::PublishResponse response;
  while (stream->Read(&response)) {
    out.durable = response.durable_requests();
    out.refusals.insert(out.refusals.end(), response.refusals().begin(), response.refusals().end());
  }
  out.status = stream->Finish();
  return out;
}

std::unique_ptr<OpenSubscription> Peer::Subscribe(const Home& home, const std::vector<Topic>& topics) {
  v1::SubscribeRequest request;
  request.set_tenant(home.tenant().str());
  request.set_instantiation(home.id().ToString());
  for (const Topic& topic : topics) request.add_topics()->set_topic(topic.str());
  return std::make_unique<OpenSubscription>(*transport_, request);
}

grpc::Status Peer::Put(const MailboxName& box, const std::string& message) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::PutRequest request;
  request.set_box(box.ToString());
  request.set_message(message);
  v1::PutResponse response;
  return rendezvous_->Put(&context, request, &response);
}

grpc::Status Peer::Await(const MailboxName& box, uint32_t after, std::vector<std::string>* messages,
                         absl::Duration timeout) {
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  v1::AwaitRequest request;
  request.set_box(box.ToString());
  request.set_after(after);
  v1::AwaitResponse response;
  grpc::Status status = rendezvous_->Await(&context, request, &response);
  messages->assign(response.messages().begin(), response.messages().end());
  return status;
}

UnreadFetch::UnreadFetch(int port, const CertificateFiles& files, const Home& home) : peer_(port, files) {
  SetDeadline(context_);
  v1::FetchCommitsRequest request;
  request.set_tenant(home.tenant().str());
  request.set_instantiation(home.id().ToString());
  const grpc::Slice bytes(request.SerializeAsString());
  request_ = grpc::ByteBuffer(&bytes, 1);
  stub_ = std::make_unique<grpc::GenericStub>(peer_.channel());
  call_ = stub_->PrepareCall(&context_, "/keystead.v1.Registry/Fetch", &queue_);
}

void UnreadFetch::AwaitHeaders() {
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue_.Next(&tag, &ok));
    EXPECT_TRUE(ok);
  };
  call_->StartCall(nullptr);
  next();
  call_->WriteLast(request_, grpc::WriteOptions(), nullptr);
  next();
  call_->ReadInitialMetadata(nullptr);
  next();
}

void UnreadFetch::Cancel() {
  if (std::exchange(cancelled_, true)) return;
  context_.TryCancel();
  grpc::Status status;
  call_->Finish(&status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  EXPECT_TRUE(queue_.Next(&tag, &ok));
  queue_.Shutdown();
  while (queue_.Next(&tag, &ok)) {
  }
}

std::string Group(const Home& home, const MemberId& sender, const Topic& topic, uint64_t epoch,
                  const StreamId& stream, uint64_t sequence, std::string_view cose) {
  GroupHeader header;
  header.tenant = home.tenant();
  header.instantiation = home.id();
  header.topic = topic;
  header.sender = sender;
  header.epoch = epoch;
  header.stream = stream;
  GroupBuilder builder(header);
  if (!builder.Append(sequence, AsBytes(cose)).ok()) std::abort();
  return *builder.Take();
}

StreamId NewStream() { return RandomSource::System().NewId<StreamId>(); }

BackendTest::BackendTest()
    : bulb_(MakeResident(MemberKind::kDevice, Uri(kAcme, Role::kDevice, "bulb"))),
      hall_(MakeResident(MemberKind::kGateway, Uri(kAcme, Role::kGateway, "hall"))),
      console_(MakeResident(MemberKind::kReader, Uri(kAcme, Role::kThirdParty, "console"))) {
  console_.entry.rights = {{Topic::Of(TopicKind::kTelemetry, bulb_.entry.member), true, false}};
  SetSecurityEventObserver([this](const SecurityEvent& event) {
    absl::MutexLock lock(&mutex_);
    ++events_[event.kind];
  });
  options_.listen = "127.0.0.1:0";
  options_.tls = TestPki::Shared().Backend();
  options_.tenants_folder = TestPki::Shared().folder() + "/tenants";
  options_.provider = std::string(kProvider) + "=" + TestPki::Shared().provider_roots();
  options_.store.path = TestPki::Shared().NewFolder() + "/store";
  options_.clock = &clock_;
  options_.tick = absl::Milliseconds(20);
  options_.grace = absl::Milliseconds(100);
  Start();
}

BackendTest::~BackendTest() {
  peers_.clear();
  backend_.reset();
  SetSecurityEventObserver(nullptr);
}

void BackendTest::Start() { backend_ = OrDie(backend::Backend::Start(options_)); }

void BackendTest::Restart() {
  StopBackend();
  Start();
}

void BackendTest::StopBackend() {
  peers_.clear();
  backend_.reset();
}

bool BackendTest::TryStart() {
  auto started = backend::Backend::Start(options_);
  if (started.ok()) backend_ = *std::move(started);
  return started.ok();
}

v1::UsageResponse BackendTest::UsageOf(std::string_view tenant) {
  v1::TenantAdmin::Stub stub(Operator().channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::UsageRequest request;
  request.set_tenant(std::string(tenant));
  v1::UsageResponse response;
  const grpc::Status status = stub.Usage(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

Peer& BackendTest::Operator() {
  std::unique_ptr<Peer>& peer = peers_["operator"];
  if (peer == nullptr) peer = std::make_unique<Peer>(backend_->port(), TestPki::Shared().Operator());
  return *peer;
}

Peer& BackendTest::As(std::string_view tenant, Role role, std::string_view id) {
  std::unique_ptr<Peer>& peer = peers_[Uri(tenant, role, id)];
  if (peer == nullptr)
    peer = std::make_unique<Peer>(backend_->port(), TestPki::Shared().Leaf(tenant, role, id));
  return *peer;
}

void BackendTest::Commit(Home& home, const std::vector<const Resident*>& add,
                         const std::vector<MemberId>& remove) {
  const std::string bundle = home.Make(add, remove);
  const grpc::Status status = Phone().Submit(home, bundle);
  ASSERT_TRUE(status.ok()) << status.error_message();
  home.Take(bundle);
}

void BackendTest::Furnish(Home& home) {
  Commit(home);
  Commit(home, {&bulb_, &hall_, &console_});
}

size_t BackendTest::Events(SecurityEventKind kind) {
  absl::MutexLock lock(&mutex_);
  return events_[kind];
}

}  // namespace keystead::testing
