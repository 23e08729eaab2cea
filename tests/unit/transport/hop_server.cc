#include "tests/unit/transport/hop_server.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/transport/test_server.h"

namespace keystead::testing {
namespace {

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "hop_server: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

// One leaf per role and process: issuing runs a script.
const CertificateFiles& LeafOf(Role role) {
  static auto* const leaves = new std::map<Role, CertificateFiles>;
  const auto found = leaves->find(role);
  if (found != leaves->end()) return found->second;
  return leaves->emplace(role, TestPki::Shared().Leaf(kAcme, role, std::string(RoleName(role)) + "-1"))
      .first->second;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Principal>> TestHop::Authenticate(
    const grpc::ServerContextBase& context) {
  return PrincipalOf(context, *resolver_);
}
absl::Status TestHop::CheckStillValid(const Principal& principal) {
  if (!valid) return absl::UnauthenticatedError("revoked");
  return resolver_->CheckStillValid(principal);
}
absl::StatusOr<uint32_t> TestHop::Admit(storage::Transaction&, const Principal& principal,
                                        const GroupView& group) {
  if (busy > 0) {
    --busy;
    return absl::ResourceExhaustedError("busy");
  }
  if (group.header().sender == early_sender) return absl::UnavailableError("too early");
  if (group.header().tenant != principal.tenant() || group.header().sender == refused_sender)
    return absl::PermissionDeniedError("not yours");
  return kTestTenantNumber;
}
absl::Status TestHop::Stored(storage::Transaction&, const Principal&, std::span<const StoredGroup>) {
  if (hook_failures > 0) {
    --hook_failures;
    return absl::UnavailableError("hook");
  }
  return absl::OkStatus();
}
absl::StatusOr<uint32_t> TestHop::AdmitSubscribe(storage::Transaction&, const Principal& principal,
                                                 const SubscribeDemand& demand) {
  if (!may_subscribe || demand.tenant != principal.tenant()) return absl::PermissionDeniedError("not yours");
  return kTestTenantNumber;
}
void TestHop::Committed(const Principal&, std::span<const StoredGroup> groups, const absl::Status& status) {
  if (status.ok()) committed_groups += groups.size();
}

HopServer::HopServer(const TransportServiceOptions& options, std::vector<grpc::Service*> more)
    : options_(options),
      more_(std::move(more)),
      path_(std::filesystem::path(::testing::TempDir()) /
            ("hop_" + RandomSource::System().NewId<LogId>().ToHex())),
      resolver_(std::make_shared<PrincipalResolver>(&directory_, &deny_list_)),
      hop_(resolver_.get()) {
  if (!directory_.LoadFolder(TestPki::Shared().folder() + "/tenants").ok()) std::abort();
  Start();
}

HopServer::~HopServer() {
  Stop();
  std::filesystem::remove_all(path_);
}

void HopServer::Start() {
  storage::Options store_options;
  store_options.path = path_;
  store_options.format_name = "hop-server";
  store_ = Must(storage::LogStore::Open(store_options));
  hop_.store = store_.get();
  log_ = std::make_unique<RecordLog>(store_.get());
  executor_ = std::make_unique<Executor>(2);
  service_ = std::make_unique<TransportService>(&hop_, log_.get(), executor_.get(), options_);
  ServerOptions options;
  options.listen_address = "127.0.0.1:" + std::to_string(port_);
  options.credentials = Must(MakeServerCredentials({.files = TestPki::Shared().Backend()}));
  options.resolver = resolver_;
  options.policy = AuthorizationPolicy{{kPublishMethod, RoleSet::Operational()},
                                       {kSubscribeMethod, RoleSet::Operational()},
                                       {"/keystead.v1.Rendezvous/Put", RoleSet::Operational()},
                                       {"/keystead.v1.Rendezvous/Await", RoleSet::Operational()}};
  options.services = {service_->service()};
  options.services.insert(options.services.end(), more_.begin(), more_.end());
  server_ = std::make_unique<RunningServer>(Must(StartServer(options)));
  port_ = server_->port();
}

void HopServer::Stop() {
  if (server_ == nullptr) return;
  service_->Stop();
  server_->Shutdown(absl::Seconds(1));
  server_.reset();
  executor_.reset();
  store_.reset();  // ends every task
  EXPECT_EQ(service_->GetStats().publish_calls, 0u);
  EXPECT_EQ(service_->GetStats().subscribe_calls, 0u);
  service_.reset();
  log_.reset();
}

std::shared_ptr<grpc::Channel> HopServer::DialAs(Role role) const {
  return DialChannel(
      "127.0.0.1:" + std::to_string(port_),
      Must(MakeChannelCredentials({.files = LeafOf(role)}, Must(PeerExpectation::Parse(kBackendId)))),
      {.own_connection = true});
}

std::vector<std::pair<uint64_t, std::string>> HopServer::Records(int device) {
  std::vector<std::pair<uint64_t, std::string>> out;
  const auto topic = Must(log_->FindTopic({kTestTenantNumber, TestInstantiation(), TestTopic(device)}));
  if (!topic) return out;
  const storage::Bounds bounds = Must(store_->GetBounds(topic->ref));
  for (uint64_t next = bounds.first; next < bounds.end;) {
    const auto entries = Must(store_->Read(topic->ref, next, 1 << 20));
    for (const storage::Entry& entry : entries) {
      GroupHeaderCache cache;
      const GroupView view = Must(GroupView::Parse(*entry.bytes, cache));
      for (const RecordView& record : view.records())
        out.emplace_back(record.sequence, ToString(record.cose));
    }
    next = entries.back().offset + 1;
  }
  return out;
}

// Witnesses
// --------------------------------------------------------------------------------------------------------

namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

void AwaitOrFail(absl::Mutex& mutex, const std::function<bool()>& condition,
                 const char* what) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  absl::MutexLock lock(&mutex);
  EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&condition), kPatience)) << "waited in vain: " << what;
}

}  // namespace

PublisherCallbacks PublishWitness::Callbacks() {
  PublisherCallbacks out;
  out.on_durable = [this](uint64_t ticket) {
    absl::MutexLock lock(&mutex_);
    EXPECT_GT(ticket, durable_);
    durable_ = ticket;
  };
  out.on_refused = [this](uint64_t ticket, const GroupRefusal& refusal) {
    absl::MutexLock lock(&mutex_);
    refusals_.emplace_back(ticket, refusal);
  };
  out.on_disconnected = [this](const absl::Status&) {
    absl::MutexLock lock(&mutex_);
    ++disconnects_;
  };
  return out;
}
void PublishWitness::AwaitDurable(uint64_t ticket) {
  AwaitOrFail(
      mutex_, [&] { return durable_ >= ticket; }, "durable");
}
void PublishWitness::AwaitDisconnects(int count) {
  AwaitOrFail(
      mutex_, [&] { return disconnects_ >= count; }, "disconnected");
}
uint64_t PublishWitness::durable() const {
  absl::MutexLock lock(&mutex_);
  return durable_;
}
int PublishWitness::disconnects() const {
  absl::MutexLock lock(&mutex_);
  return disconnects_;
}
std::vector<std::pair<uint64_t, GroupRefusal>> PublishWitness::refusals() const {
  absl::MutexLock lock(&mutex_);
  return refusals_;
}

SubscriberCallbacks ReadWitness::Callbacks() {
  SubscriberCallbacks out;
  out.on_entries = [this](const TopicBatch& batch) {
    absl::MutexLock lock(&mutex_);
    GroupHeaderCache cache;
    for (const Payload& group : batch.groups) {
      const auto view = GroupView::Parse(*group, cache);
      EXPECT_TRUE(view.ok()) << view.status();
      if (!view.ok()) continue;
      EXPECT_EQ(view->header().topic, batch.topic);
      for (const RecordView& record : view->records()) {
        records_[batch.topic.str()].emplace_back(record.sequence, ToString(record.cose));
        ++count_;
      }
    }
  };
  out.on_log = [this](const Topic& topic, const LogId&, uint64_t first_kept) {
    absl::MutexLock lock(&mutex_);
    first_kept_[topic.str()] = first_kept;
  };
  out.on_caught_up = [this](const Topic& topic) {
    absl::MutexLock lock(&mutex_);
    caught_up_.insert(topic.str());
  };
  out.on_disconnected = [this](const absl::Status& why) {
    absl::MutexLock lock(&mutex_);
    disconnects_.push_back(why);
  };
  return out;
}
void ReadWitness::AwaitRecords(size_t count) {
  AwaitOrFail(
      mutex_, [&] { return count_ >= count; }, "records");
}
void ReadWitness::AwaitCaughtUp(size_t topics) {
  AwaitOrFail(
      mutex_, [&] { return caught_up_.size() >= topics; }, "caught up");
}
void ReadWitness::AwaitDisconnects(size_t count) {
  AwaitOrFail(
      mutex_, [&] { return disconnects_.size() >= count; }, "disconnected");
}
std::map<std::string, std::vector<std::pair<uint64_t, std::string>>> ReadWitness::records() const {
  absl::MutexLock lock(&mutex_);
  return records_;
}
std::map<std::string, uint64_t> ReadWitness::first_kept() const {
  absl::MutexLock lock(&mutex_);
  return first_kept_;
}
std::vector<absl::Status> ReadWitness::disconnects() const {
  absl::MutexLock lock(&mutex_);
  return disconnects_;
}
size_t ReadWitness::count() const {
  absl::MutexLock lock(&mutex_);
  return count_;
}

PublisherOptions QuickPublisher() {
  PublisherOptions out;
  out.backoff = {.initial = absl::Milliseconds(20), .max = absl::Milliseconds(200)};
  return out;
}
SubscriberOptions QuickSubscriber() {
  SubscriberOptions out;
  out.tenant = TestTenant();
  out.instantiation = TestInstantiation();
  out.backoff = {.initial = absl::Milliseconds(20), .max = absl::Milliseconds(200)};
  return out;
}

}  // namespace keystead::testing
