#include "device-sim/fleet.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/observe/log.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "device-sim/fleet_metrics.h"
#include "device-sim/label_view.h"
#include "device-sim/readings.h"

namespace keystead::device_sim {
namespace {

constexpr size_t kManyDevices = 32;  // above it certificates are not watched: that costs a thread each

constexpr uint64_t kSyncBytes = 16 << 20;
constexpr absl::Duration kSyncEvery = absl::Seconds(30);
constexpr absl::Duration kLookUnderLoad = absl::Milliseconds(50);
constexpr size_t kStopAtOnce = 16;

absl::Status ShowOne(const membership::Label& label) {
  KS_ASSIGN_OR_RETURN(const SecretBytes text, membership::EncodeLabel(label));
  const SecretBytes grouped = membership::GroupLabelText(text);
  return ShowLabel(STDOUT_FILENO, text.ExposeSecret(), grouped.ExposeSecret(), false);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Fleet>> Fleet::Create(const Options& options) {
  KS_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<Fleet> fleet(new Fleet(options));
  KS_RETURN_IF_ERROR(fleet->OpenState());
  KS_RETURN_IF_ERROR(fleet->MakeDevices());
  KS_RETURN_IF_ERROR(fleet->WriteLabels());
  return fleet;
}

Fleet::~Fleet() { Stop(absl::ZeroDuration()); }

absl::Status Fleet::OpenState() {
  KS_ASSIGN_OR_RETURN(StateFolder folder, StateFolder::Open(options_.state));
  folder_ = std::make_unique<StateFolder>(std::move(folder));
  KS_ASSIGN_OR_RETURN(lock_, LockState(*folder_));
  KS_ASSIGN_OR_RETURN(store_, OpenDeviceStore(folder_->PathOf("journal")));
  executor_ = std::make_unique<Executor>(options_.Ids().size() > kManyDevices ? 4 : 2);
  const double devices = static_cast<double>(options_.Ids().size());
  world_.folder = folder_.get();
  world_.store = store_.get();
  world_.executor = executor_.get();
  world_.clock = &clock_;
  world_.interval = absl::Seconds(options_.interval_seconds);
  world_.lease = absl::Hours(24) * options_.lease_days;
  world_.sample = options_.batch == 0;
  world_.journal_bytes = options_.journal_bytes;
  world_.linger = absl::Microseconds(static_cast<int64_t>(options_.linger_us));
  // Many at once come back over a longer time.
  world_.backoff.max = std::clamp(absl::Milliseconds(20) * devices, absl::Seconds(2), absl::Seconds(30));
  return absl::OkStatus();
}

// Devices get their certificates here if the hop is there, otherwise when it is: until then their channels
// lead nowhere.
absl::Status Fleet::StartEnrolling() {
  KS_ASSIGN_OR_RETURN(const PeerExpectation hop, PeerExpectation::Parse(options_.next_hop_id));
  std::vector<EnrollingIdentity> identities;
  for (const std::string& id : options_.Ids()) {
    channels_.emplace_back(ChannelToNowhere());
    EnrollingIdentity& identity = identities.emplace_back();
    identity.factory = FactoryCertificatesOf(options_, id);
    identity.operational = CertificatesOf(options_, id);
    identity.on_certificate = [this, hop, channel = channels_.back(),
                               files = identity.operational](const CertificateInfo& info) {
      const absl::Status status = DialWithNewCertificate(channel, options_.next_hop, files, hop);
      if (!status.ok())
        Log(LogLevel::kError, "certificate_unusable",
            {{"peer", info.id.str()}, {"reason", Std(status.message())}});
    };
  }
  Enroller::Options options;
  options.next_hop = options_.next_hop;
  options.server = hop;
  KS_ASSIGN_OR_RETURN(enroller_, Enroller::Create(options, std::move(identities)));
  enroller_->AwaitAll(absl::ZeroDuration(), [] { return false; });
  enroller_->Start();
  return absl::OkStatus();
}

// Whom the certificate of a device names, and the channel that shows it.
absl::StatusOr<SpiffeId> Fleet::Identify(size_t index, const std::string& id, HopChannel& channel) {
  const CertificateFiles files = CertificatesOf(options_, id);
  SpiffeId named;
  std::string named_by = files.chain;
  if (enroller_ != nullptr) {
    channel = channels_[index];
    named = enroller_->enrollees()[index];
    named_by = FactoryCertificatesOf(options_, id).chain;
  } else {
    KS_ASSIGN_OR_RETURN(const CertificateInfo info, ValidateCertificateFiles(files, clock_.Now()));
    named = info.id;
    KS_ASSIGN_OR_RETURN(const PeerExpectation hop, PeerExpectation::Parse(options_.next_hop_id));
    const TlsOptions tls{.files = files, .refresh_seconds = options_.count > kManyDevices ? 0u : 1u};
    KS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                        MakeChannelCredentials(tls, hop));
    channel = DialChannel(options_.next_hop, credentials, {.own_connection = true});
  }
  if (named.role() == Role::kDevice && named.id() == id) return named;
  return absl::FailedPreconditionError(absl::StrCat("certificate ", named_by, " is for ", named.str(),
                                                    ", not for device ", id, ": issue one with certs/issue"));
}

absl::StatusOr<DeviceConfig> Fleet::ConfigFor(size_t index, const std::string& id,
                                              const SignalOptions& signals, uint64_t seed) {
  DeviceConfig config;
  KS_ASSIGN_OR_RETURN(const SpiffeId named, Identify(index, id, config.channel));
  config.id = id;
  config.kind = options_.replay_file.empty() ? options_.kind : "replay";
  config.transport = named.str();
  config.tenant = named.tenant();
  if (enroller_ != nullptr) config.on_refused = [this, index] { enroller_->Suspect(index); };
  KS_ASSIGN_OR_RETURN(config.signal, MakeSignal(config.kind, seed, signals));
  config.safe_operation = options_.safe_operation;
  config.safe_after = absl::Seconds(options_.safe_after_seconds);
  if (!config.safe_operation.empty()) {  // tried on another of its kind: now, and not when it matters
    KS_ASSIGN_OR_RETURN(const std::unique_ptr<Signal> same, MakeSignal(config.kind, seed, signals));
    if (const absl::Status tried = same->Apply(config.safe_operation, absl::Now()).status(); !tried.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--safe-output: ", tried.message()));
    }
  }
  return config;
}

absl::Status Fleet::MakeDevices() {
  const std::vector<std::string> ids = options_.Ids();
  KS_ASSIGN_OR_RETURN(const SignalOptions signals, SignalOptionsOf(options_));
  if (Enrolls(options_)) KS_RETURN_IF_ERROR(StartEnrolling());
  std::vector<DeviceConfig> configs;  // all certificates are looked at before anything is made
  for (size_t i = 0; i < ids.size(); ++i) {
    KS_ASSIGN_OR_RETURN(DeviceConfig config, ConfigFor(i, ids[i], signals, options_.seed + i));
    configs.push_back(std::move(config));
  }
  KS_ASSIGN_OR_RETURN(const std::vector<uint64_t> slots, AssignSlots(*store_, ids));
  for (size_t i = 0; i < ids.size(); ++i) {
    configs[i].slot = slots[i];
    KS_ASSIGN_OR_RETURN(std::unique_ptr<Device> device,
                        Device::Create(world_, std::move(configs[i]), options_.reset));
    devices_.push_back(std::move(device));
  }
  return absl::OkStatus();
}

absl::Status Fleet::WriteLabels() const {
  if (!options_.label_out.empty())
    KS_RETURN_IF_ERROR(membership::WriteLabelFileOnce(options_.label_out, devices_.front()->label()));
  if (!options_.labels_out.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options_.labels_out, error);
    if (error) return absl::PermissionDeniedError(absl::StrCat("cannot create folder ", options_.labels_out));
    for (const auto& device : devices_) {
      KS_RETURN_IF_ERROR(membership::WriteLabelFileOnce(
          absl::StrCat(options_.labels_out, "/", device->id(), ".label"), device->label()));
    }
  }
  return options_.show_label ? ShowOne(devices_.front()->label()) : absl::OkStatus();
}

absl::Status Fleet::Start() {
  std::vector<size_t> joiners;
  for (size_t i = devices_.size(); i-- > 0;) {
    KS_RETURN_IF_ERROR(devices_[i]->Start());
    if (devices_[i]->WantsJoin(options_.arm)) {
      joiners.push_back(i);
    } else if (!devices_[i]->running()) {
      Log(LogLevel::kWarning, "not_paired",
          {{"device", devices_[i]->id()},
           {"reason", "it has no owner and is not armed: start it with --arm"}});
    }
  }
  const size_t threads = std::min(joiners.size(), options_.join_at_once);
  {
    absl::MutexLock lock(&mutex_);
    joiners_ = std::move(joiners);
    for (size_t i = 0; i < devices_.size(); ++i) due_.emplace(clock_.Uptime(), i);
  }
  for (size_t i = 0; i < threads; ++i) join_threads_.emplace_back([this] { RunJoins(); });
  scheduler_ = std::thread([this] { RunSchedule(); });
  if (options_.batch > 0) {
    const size_t loaders = std::min(options_.load_threads, devices_.size());
    for (size_t i = 0; i < loaders; ++i)
      load_threads_.emplace_back([this, i, loaders] { RunLoad(i, loaders); });
  }
  metrics_.emplace([this](MetricWriter& out) {
    WriteFleetMetrics(TotalsOf(devices_), devices_.size(), options_.journal_bytes, out);
  });
  Log(LogLevel::kInfo, "started", {{"devices", devices_.size()}, {"next_hop", options_.next_hop}});
  return absl::OkStatus();
}

// THREAD: one of join_threads_.
void Fleet::RunJoins() {
  while (!stopping()) {
    size_t next = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (joiners_.empty()) return;
      next = joiners_.back();
      joiners_.pop_back();
    }
    const absl::Status status = devices_[next]->Join([this] { return stopping(); });
    if (!status.ok()) {
      Log(LogLevel::kWarning, "not_paired",
          {{"device", devices_[next]->id()}, {"reason", Std(status.message())}});
    }
  }
}

// THREAD: scheduler_. Journals are written and trimmed without fsync. The store lets go of what was trimmed
// once a sync has come after it: often enough, and acknowledged records never reach its table files.
void Fleet::SyncWhenDue(absl::Duration now) {
  const uint64_t bytes = store_->GetStats().bytes;
  if (bytes - synced_bytes_ < kSyncBytes && (now - synced_at_ < kSyncEvery || bytes == synced_bytes_)) return;
  synced_bytes_ = bytes;
  synced_at_ = now;
  const auto nothing = [](storage::Transaction&) { return absl::OkStatus(); };
  store_->Submit(storage::MakeTask(0, nothing, [](const absl::Status&) {}))
      .IgnoreError();  // the next one will do
}

// THREAD: scheduler_. A device is in the queue or being stepped, never both.
void Fleet::RunSchedule() {
  absl::MutexLock lock(&mutex_);
  const auto woken = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return woken_; };
  while (!stopping()) {
    const absl::Duration now = clock_.Uptime();
    SyncWhenDue(now);
    if (!due_.empty() && due_.top().first <= now) {
      const size_t device = due_.top().second;
      due_.pop();
      ++stepping_;
      executor_->Post([this, device] {
        const absl::Duration next = devices_[device]->Step();
        absl::MutexLock inner(&mutex_);
        --stepping_;
        if (due_.empty() || next < due_.top().first) woken_ = true;
        due_.emplace(next, device);
      });
      continue;
    }
    woken_ = false;
    const absl::Duration wait = due_.empty() ? absl::Seconds(1) : due_.top().first - now;
    mutex_.AwaitWithTimeout(absl::Condition(&woken),
                            std::min(wait, options_.batch > 0 ? kLookUnderLoad : wait));
  }
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stepping_ == 0; };
  mutex_.Await(absl::Condition(&idle));
}

void Fleet::Stop(absl::Duration patience) {
  if (stopping_.exchange(true)) return;
  metrics_.reset();
  if (enroller_ != nullptr) enroller_->Stop();
  {
    absl::MutexLock lock(&mutex_);
    woken_ = true;
  }
  for (std::thread& thread : load_threads_) thread.join();
  for (std::thread& thread : join_threads_) thread.join();
  if (scheduler_.joinable()) scheduler_.join();
  const absl::Time until = absl::Now() + patience;
  if (patience > absl::ZeroDuration()) {
    for (const auto& device : devices_) device->Close();  // all, before the first is waited for
  }
  // Each waits for the ends of its calls and for a synced write: side by side these are soon over.
  std::atomic<size_t> next = 0;
  std::vector<std::thread> stoppers;
  for (size_t i = 0; i < std::min(kStopAtOnce, devices_.size()); ++i) {
    stoppers.emplace_back([this, &next, until] {
      for (size_t mine = next++; mine < devices_.size(); mine = next++) devices_[mine]->Stop(until);
    });
  }
  for (std::thread& thread : stoppers) thread.join();
  const DeviceTotals sum = TotalsOf(devices_).sum;
  if (!devices_.empty()) {
    Log(LogLevel::kInfo, "stopped",
        {{"devices", devices_.size()},
         {"records", sum.telemetry.sealed + sum.state.sealed},
         {"groups_durable", sum.telemetry.durable + sum.state.durable},
         {"groups_journalled", sum.telemetry.journal_entries + sum.state.journal_entries},
         {"records_lost", sum.telemetry.lost + sum.state.lost},
         {"groups_refused", sum.telemetry.refused + sum.state.refused},
         {"commands_done", sum.commands_done},
         {"commands_refused", sum.commands_refused}});
  }
  executor_.reset();  // before the devices: a job may still touch one
  devices_.clear();
  channels_.clear();
  store_.reset();
}

}  // namespace keystead::device_sim
