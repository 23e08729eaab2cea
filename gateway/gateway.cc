#include "gateway/gateway.h"

#include <atomic>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/identity/principal.h"
#include "core/observe/log.h"
#include "core/program/certificate_metrics.h"
#include "core/program/deny_file.h"
#include "core/program/files.h"
#include "core/program/state_folder.h"
#include "core/transport/server.h"
#include "core/transport/tls_credentials.h"
#include "gateway/gateway_metrics.h"
#include "gateway/keeper.h"
#include "gateway/local_keyring.h"
#include "gateway/membership.h"
#include "gateway/observer.h"
#include "gateway/policy.h"
#include "gateway/proxy.h"
#include "gateway/revocation_link.h"
#include "gateway/upstream.h"

namespace keystead::gateway {
namespace {

constexpr std::string_view kStoreFolder = "store";
constexpr size_t kMaxRootsBytes = 1 << 20;
// What a publisher may have in the store's queue, and the queue: a whole roster at once must fit, because a
// refused task ends its call and everything unacknowledged comes again.
constexpr size_t kBytesPerCall = 256 << 10;
constexpr size_t kToldBytesPerSecond = 64 << 10;  // of one device: some 500 readings a second
constexpr size_t kRequestsPerCall = 32;
constexpr size_t kStoreQueueBytes = limits::kMaxRosterEntries * kBytesPerCall;
constexpr absl::Duration kTick = absl::Milliseconds(100);

}  // namespace

class Gateway::Impl {
 public:
  explicit Impl(const GatewayOptions& options) : options_(options) {}
  absl::Status Start();
  void Stop(absl::Duration flush);
  GatewayStats GetStats() const;
  void LogStats() const;
  int port() const { return port_; }

 private:
  absl::Status LoadIdentity();
  absl::Status OpenState();
  absl::Status OpenStore();
  void Connect();
  absl::Status Serve();
  void OnChain(std::shared_ptr<const MembershipChain> chain, bool belongs);
  void EndRefused();
  void RunHousekeeping();  // THREAD: housekeeper_

  const GatewayOptions options_;
  SpiffeId self_;
  std::optional<StateFolder> folder_;
  StateFolder::Lock lock_;
  std::unique_ptr<Upstream> upstream_;
  TenantDirectory directory_;
  DenyList deny_list_;
  std::unique_ptr<DenyFile> deny_file_;
  std::shared_ptr<PrincipalResolver> resolver_;

  // In the order in which one needs the others; Stop takes them down from the end.
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<LocalKeyring> keyring_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<Downlink> downlink_;
  std::unique_ptr<LanHop> hop_;
  std::unique_ptr<TransportService> service_;
  std::unique_ptr<RevocationKeeper> revocations_;
  std::unique_ptr<RevocationLink> revocation_link_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<GatewayObserver> observer_;  // when it is asked for
  std::unique_ptr<RunningServer> server_;
  int port_ = 0;
  std::atomic<bool> look_again_ = false;
  absl::Notification stopping_;
  std::thread housekeeper_;
  bool stopped_ = false;
  GatewayStats last_stats_;              // after Stop
  std::optional<MetricSource> metrics_;  // while it runs
};

absl::Status Gateway::Impl::Start() {
  KS_RETURN_IF_ERROR(LoadIdentity());
  KS_RETURN_IF_ERROR(OpenState());
  KS_RETURN_IF_ERROR(OpenStore());
  revocations_ =
      std::make_unique<RevocationKeeper>(RevocationKeeper::Options{&directory_, &deny_list_, [this] {
                                                                     EndRefused();
                                                                     look_again_ = true;
                                                                   }});
  Connect();
  KS_RETURN_IF_ERROR(revocation_link_->Restore());
  KS_RETURN_IF_ERROR(forwarder_->Restore());
  KS_RETURN_IF_ERROR(keeper_->Restore());
  KS_RETURN_IF_ERROR(membership_->Start(keyring_.get()));
  KS_RETURN_IF_ERROR(Serve());
  upstream_->Start();
  forwarder_->Start();
  housekeeper_ = std::thread([this] { RunHousekeeping(); });
  metrics_.emplace([this](MetricWriter& out) { WriteGatewayMetrics(GetStats(), options_.queue_bytes, out); });
  return absl::OkStatus();
}

absl::Status Gateway::Impl::LoadIdentity() {
  KS_ASSIGN_OR_RETURN(upstream_, Upstream::Open(options_));
  self_ = upstream_->self();
  // The LAN's only tenant is the gateway's own.
  KS_ASSIGN_OR_RETURN(const std::string roots, ReadFile(options_.files.roots, kMaxRootsBytes));
  if (absl::Status status = directory_.Register(self_.tenant(), roots); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(options_.files.roots, ": ", status.message()));
  }
  deny_file_ = std::make_unique<DenyFile>(options_.deny_list, self_.tenant(), &deny_list_);
  KS_RETURN_IF_ERROR(deny_file_->Refresh().status());
  resolver_ = std::make_shared<PrincipalResolver>(&directory_, &deny_list_);
  return absl::OkStatus();
}

absl::Status Gateway::Impl::OpenState() {
  KS_ASSIGN_OR_RETURN(folder_, StateFolder::Open(options_.state));
  absl::StatusOr<StateFolder::Lock> lock = folder_->Acquire("lock", false);
  if (!lock.ok()) {
    return absl::Status(lock.status().code(), absl::StrCat("another gateway uses ", options_.state,
                                                           ": stop it or give another --state"));
  }
  lock_ = *std::move(lock);
  executor_ = std::make_unique<Executor>(2);
  Membership::Options options;
  options.self = self_;
  options.folder = &*folder_;
  options.channel = upstream_->Dial();
  options.executor = executor_.get();
  options.clock = options_.clock;
  options.follow = [this](const InstantiationId& id) { downlink_->Follow(id); };
  options.on_chain = [this](std::shared_ptr<const MembershipChain> chain, bool belongs) {
    OnChain(std::move(chain), belongs);
  };
  KS_ASSIGN_OR_RETURN(membership_, Membership::Open(options));
  if (options_.reset) {
    KS_RETURN_IF_ERROR(membership_->Reset());
    std::error_code error;
    std::filesystem::remove_all(folder_->PathOf(kStoreFolder), error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot remove ", folder_->PathOf(kStoreFolder), ": ", error.message()));
    }
    Log(LogLevel::kWarning, "reset");
  }
  if (!options_.label_out.empty()) return membership_->WriteLabel(options_.label_out);
  return absl::OkStatus();
}

absl::Status Gateway::Impl::OpenStore() {
  storage::Options options;
  options.path = folder_->PathOf(kStoreFolder);
  options.format_name = "keystead-gateway";
  options.queue_bytes = kStoreQueueBytes;
  options.file_system = options_.file_system;
  KS_ASSIGN_OR_RETURN(store_, storage::LogStore::Open(options));
  log_ = std::make_unique<RecordLog>(store_.get());
  keyring_ = std::make_unique<LocalKeyring>(store_.get(), log_.get());
  return absl::OkStatus();
}

void Gateway::Impl::Connect() {
  Forwarder::Options up;
  up.queue_bytes = options_.queue_bytes;
  up.outbox.memory_bytes = options_.queue_memory_bytes;
  up.outbox.retry_after = options_.retry_refused;
  up.publisher.backoff = options_.backoff;
  up.publisher.linger = absl::Milliseconds(1);
  up.on_connected = [this] { upstream_->OnConnected(); };
  up.on_disconnected = [this](const absl::Status& why) { upstream_->OnEnded(why); };
  forwarder_ = std::make_unique<Forwarder>(store_.get(), log_.get(), upstream_->Dial(), up);
  keeper_ = std::make_unique<Keeper>(store_.get(), log_.get(), forwarder_.get(), options_.history_bytes);
  Downlink::Options down;
  down.channel = upstream_->Dial();
  down.tenant = self_.tenant();
  down.backoff = options_.backoff;
  down.on_keyring = [this] { membership_->KeyringGrew(); };
  down.ask_after = options_.retry_refused;
  down.on_stored = [this](const GroupHeader& header, storage::LogRef log, size_t bytes) {
    keeper_->Grew(header, log, bytes);
  };
  downlink_ = std::make_unique<Downlink>(store_.get(), log_.get(), forwarder_.get(), down);
  LanHop::Options lan;
  lan.store = store_.get();
  lan.resolver = resolver_.get();
  lan.forwarder = forwarder_.get();
  lan.self = self_.str();
  lan.clock = options_.clock;
  lan.on_behind = [this] { downlink_->Behind(); };
  lan.on_roster = [this] { forwarder_->RetryParked(); };
  lan.on_keyring = down.on_keyring;
  lan.on_stored = down.on_stored;
  hop_ = std::make_unique<LanHop>(lan);
  TransportServiceOptions service;
  service.max_requests_per_call = kRequestsPerCall;
  service.max_bytes_per_call = kBytesPerCall;
  service.told_bytes_per_second = kToldBytesPerSecond;
  service_ = std::make_unique<TransportService>(hop_.get(), log_.get(), executor_.get(), service);
  hop_->SetService(service_.get());
  RevocationLink::Options link;
  link.channel = upstream_->Dial();
  link.tenant = self_.tenant();
  link.next_hop = options_.upstream_id;
  link.folder = &*folder_;
  link.keeper = revocations_.get();
  link.executor = executor_.get();
  link.backoff = options_.backoff;
  revocation_link_ = std::make_unique<RevocationLink>(link);
  ProxyOptions proxy;
  proxy.revocations = revocations_.get();
  proxy.channel = upstream_->Dial();
  proxy.tenant = self_.tenant();
  proxy.resolver = resolver_.get();
  proxy.clock = options_.clock;
  proxy.may_follow = [this](std::shared_ptr<const Principal> peer, const InstantiationId& id,
                            const std::function<void(const absl::Status&)>& answer) {
    hop_->AskMayFollow(std::move(peer), id, answer);
  };
  // Before it belongs anywhere, an owner behind it must be able to make the commit that changes this.
  proxy.carries = [this](const InstantiationId& id) {
    return !membership_->belongs() || membership_->instantiation() == id;
  };
  proxy_ = std::make_unique<Proxy>(proxy);
}

absl::Status Gateway::Impl::Serve() {
  ServerOptions options;
  options.listen_address = options_.listen;
  KS_ASSIGN_OR_RETURN(options.credentials, MakeServerCredentials({.files = options_.files}));
  options.handshakes = options_.handshakes;
  options.resolver = resolver_;
  options.policy = MakePolicy();
  options.services = proxy_->services();
  options.services.push_back(service_->service());
  if (options_.observer) {
    observer_ = std::make_unique<GatewayObserver>(resolver_.get(), self_.tenant(), log_.get());
    options.services.push_back(observer_->service());
  }
  KS_ASSIGN_OR_RETURN(RunningServer server, StartServer(options));
  server_ = std::make_unique<RunningServer>(std::move(server));
  port_ = server_->port();
  server_->SetServing(true);
  return absl::OkStatus();
}

// THREAD: the executor, or Start's.
void Gateway::Impl::OnChain(std::shared_ptr<const MembershipChain> chain, bool belongs) {
  std::vector<MemberId> members;
  if (belongs) {
    for (const RosterEntry& entry : chain->roster().entries()) members.push_back(entry.member);
  }
  downlink_->SetMembers(members);
  hop_->SetChain(belongs ? std::move(chain) : nullptr);
}

// Whose certificate counts no longer has no open call any more.
void Gateway::Impl::EndRefused() {
  const auto refused = [this](const Principal& peer) { return !resolver_->CheckStillValid(peer).ok(); };
  service_->EndCalls([&](const OpenCall& call) { return refused(call.principal); },
                     absl::UnauthenticatedError("the certificate counts no longer"));
  proxy_->EndCalls(refused);
  revocations_->EndWaiting(refused);
}

void Gateway::Impl::RunHousekeeping() {
  absl::Time next_second = absl::Now();
  absl::Time next_stats = absl::Now() + absl::Seconds(options_.stats_seconds);
  while (!stopping_.WaitForNotificationWithTimeout(kTick)) {
    forwarder_->Tick();
    downlink_->Tick();
    hop_->Tick();
    revocation_link_->Tick();
    keeper_->Tick();  // often: what is trimmed before the store flushes it is never written a second time
    const absl::Time now = absl::Now();
    if (now < next_second) continue;
    next_second = now + absl::Seconds(1);
    const absl::StatusOr<bool> denied = deny_file_->Refresh();
    // Once more for calls that were let in just before a change and had not begun when the others were ended.
    if ((denied.ok() && *denied) || look_again_.exchange(false)) EndRefused();
    if (!denied.ok()) {
      Log(LogLevel::kError, "deny_list_unreadable", {{"reason", Std(denied.status().message())}});
    }
    if (options_.stats_seconds <= 0 || now < next_stats) continue;
    next_stats = now + absl::Seconds(options_.stats_seconds);
    LogStats();
  }
}

// Also after a Start that went only part of the way.
void Gateway::Impl::Stop(absl::Duration flush) {
  if (std::exchange(stopped_, true)) return;
  metrics_.reset();
  if (upstream_ != nullptr) upstream_->Stop();
  if (server_ != nullptr) {
    server_->SetServing(false);
    service_->Stop();
    proxy_->Stop();
    revocations_->Stop();
    server_->Shutdown(absl::Seconds(1));
  }
  if (server_ != nullptr && flush > absl::ZeroDuration() && !forwarder_->Flush(flush)) {
    Log(LogLevel::kWarning, "queue_not_empty", {{"what_happens", "it goes on after the next start"}});
  }
  if (housekeeper_.joinable()) {
    stopping_.Notify();
    housekeeper_.join();
  }
  if (revocation_link_ != nullptr) revocation_link_->Stop();
  if (downlink_ != nullptr) downlink_->Stop();
  if (membership_ != nullptr) membership_->Stop();
  if (forwarder_ != nullptr) forwarder_->Stop();
  if (hop_ != nullptr) last_stats_ = GetStats();
  server_.reset();
  if (observer_ != nullptr) observer_->Drain();
  observer_.reset();
  store_.reset();  // ends every task; their owners are still there
  proxy_.reset();
  revocation_link_.reset();
  revocations_.reset();
  service_.reset();
  hop_.reset();
  downlink_.reset();
  keeper_.reset();
  forwarder_.reset();
  membership_.reset();
  executor_.reset();
  log_.reset();
}

GatewayStats Gateway::Impl::GetStats() const {
  if (hop_ == nullptr) return last_stats_;
  return {service_->GetStats(), hop_->GetStats(), forwarder_->GetStats(), downlink_->GetStats(),
          keeper_->rewritten()};
}

void Gateway::Impl::LogStats() const {
  const GatewayStats stats = GetStats();
  const Outbox::Stats& queue = stats.up.outbox;
  Log(LogLevel::kInfo, "stats",
      {{"belongs", stats.lan.belongs},
       {"queue_entries", queue.entries},
       {"queue_bytes", queue.bytes},
       {"queue_age_s", absl::ToDoubleSeconds(queue.age)},
       {"in_flight_bytes", queue.in_flight_bytes},
       {"forwarded", queue.forwarded},
       {"retried", queue.retried},
       {"parked", queue.parked},
       {"refused", stats.lan.refused},
       {"pushed_back", stats.lan.pushed_back},
       {"publishers", stats.service.publish_calls},
       {"subscribers", stats.service.subscribe_calls},
       {"groups_in", stats.service.groups_in},
       {"groups_out", stats.service.groups_out},
       {"up_connected", stats.up.connected},
       {"up_requests", stats.up.requests},
       {"down_connected", stats.down.connected},
       {"down_stored", stats.down.stored},
       {"down_refused_commits", stats.down.refused_commits},
       {"down_refused_records", stats.down.refused_records}});
}

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(const GatewayOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  if (absl::Status status = impl->Start(); !status.ok()) {
    impl->Stop(absl::ZeroDuration());
    return status;
  }
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() { Stop(absl::ZeroDuration()); }
int Gateway::port() const { return impl_->port(); }
GatewayStats Gateway::GetStats() const { return impl_->GetStats(); }
void Gateway::LogStats() const { impl_->LogStats(); }
void Gateway::Stop(absl::Duration flush) { impl_->Stop(flush); }

absl::Status RunGateway(const GatewayOptions& options, Program& program) {
  GatewayOptions stoppable = options;
  stoppable.stop = [&program] { return program.termination().WaitFor(absl::ZeroDuration()); };
  absl::StatusOr<std::unique_ptr<Gateway>> started = Gateway::Start(stoppable);
  if (absl::IsCancelled(started.status())) return absl::OkStatus();
  if (!started.ok()) return started.status();
  const std::unique_ptr<Gateway> gateway = *std::move(started);
  const CertificateMetrics certificates({{"own", options.files.chain}, {"factory", options.factory.chain}});
  KS_RETURN_IF_ERROR(program.AnnouncePorts({{"lan", gateway->port()}}));
  Log(LogLevel::kInfo, "serving", {{"port", gateway->port()}});
  program.termination().Wait();
  Log(LogLevel::kInfo, "stopping");
  gateway->Stop(absl::Seconds(options.flush_seconds));
  gateway->LogStats();
  return absl::OkStatus();
}

}  // namespace keystead::gateway
