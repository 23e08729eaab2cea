// One simulated device: its identity, its joining, what it says and what it obeys. No thread of its own once
// it is owned. docs/architecture.md, "A reading" and "A command".
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/member/claim_watch.h"
#include "core/member/keyring_link.h"
#include "core/member/stream_sender.h"
#include "core/program/state_folder.h"
#include "core/sealing/command.h"
#include "core/sealing/joining.h"
#include "core/sealing/lease.h"
#include "core/sealing/member.h"
#include "core/transport/hop_channel.h"
#include "device-sim/command_link.h"
#include "device-sim/device_store.h"
#include "device-sim/factory.h"
#include "device-sim/signals/signal.h"

namespace keystead::device_sim {

// What all devices of a process share. Everything outlives them.
struct DeviceWorld {
  const StateFolder* folder = nullptr;
  storage::LogStore* store = nullptr;
  Executor* executor = nullptr;
  const Clock* clock = nullptr;  // DeviceClock
  RandomSource* random = &RandomSource::System();
  absl::Duration interval = absl::Seconds(1);
  bool sample = true;  // false: load comes from outside, through SendLoad
  size_t journal_bytes = 16 << 20;
  absl::Duration linger = absl::ZeroDuration();
  BackoffOptions backoff;
  limits::StreamLimits stream_limits;
  absl::Duration lease = kDefaultLease;
};

struct DeviceConfig {
  std::string id;
  uint64_t slot = 0;
  std::string kind;
  std::string transport;  // SPIFFE id of its certificate
  TenantName tenant;
  HopChannel channel;  // of its own
  std::unique_ptr<Signal> signal;
  // What its output does by itself once no hop has acknowledged anything for so long; empty: stays as it is.
  std::string safe_operation;
  absl::Duration safe_after;
  std::function<void()> on_refused;  // the hop does not accept the certificate; may be empty
};

struct DeviceTotals {
  StreamSender::Stats telemetry;
  StreamSender::Stats state;
  uint64_t commands_done = 0;
  uint64_t commands_refused = 0;
  uint64_t went_safe = 0;  // times that its output became what was declared safe
};

// Thread-safe, but for Join, Start and Stop, which are called one after the other.
class Device {
 public:
  // Loads the device, or makes it: its first start is its factory. DATA_LOSS and the like: one line that says
  // what is wrong with which file.
  static absl::StatusOr<std::unique_ptr<Device>> Create(const DeviceWorld& world, DeviceConfig config,
                                                        bool reset);
  ~Device();  // Stop(now)

  const std::string& id() const { return config_.id; }
  membership::Label label() const { return LabelOf(factory_, config_.tenant, config_.id); }

  // An owned device takes up its work.
  absl::Status Start();
  // Whether Join should run: it is not owned, and it was armed by a local act (its first power-up, a reset,
  // `arm`), or an offer stands.
  bool WantsJoin(bool arm) const;
  // Blocks until owned, refused or `stop`; see RunJoinSession.
  absl::Status Join(const std::function<bool()>& stop);

  // THREAD: executor. What is due: samples, checkpoints, retries. When to call it again (device uptime).
  absl::Duration Step();

  // One record of kind "readings", flushed with the others at FlushLoad. UNAVAILABLE: no member yet.
  absl::Status SendLoad(ByteView body);
  absl::Status FlushLoad();
  size_t LoadBacklog() const;
  bool running() const { return running_.load(std::memory_order_acquire); }

  // Ends the streams with a signed end; what is left is waited for by Stop.
  void Close();
  void Stop(absl::Time until);
  DeviceTotals Totals() const;

 private:
  Device(const DeviceWorld& world, DeviceConfig config, FactoryIdentity factory);

  absl::Status Load(bool reset);
  absl::Status LoadResponder(bool reset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LoadMember() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Forget() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string FileName(std::string_view what) const { return config_.id + "." + std::string(what); }
  absl::Status StoreResponder(const SecretBytes& encoded) const;
  absl::Status StoreMember() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FollowOffer();
  void DropOffer();
  void StartKeyring();
  void OnKeyring(KeyringEffect effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnEpoch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WatchClaims() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Work() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::unique_ptr<StreamSender>> MakeSender(TopicKind kind, JournalTopic journal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<StreamSender::Keys> KeysFor(TopicKind kind) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  Freshness MakeFreshness() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void OnConnection(const absl::Status& status);

  void Sample(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportState(const std::vector<device_sim::Sample>& samples) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tick() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TickSafety() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TickMembership() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnCommand(const ReceivedCommand& received) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Answer> Obey(const ReceivedCommand& received) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Warn(std::string_view event, const absl::Status& status) const;

  const DeviceWorld& world_;
  const DeviceConfig config_;
  const FactoryIdentity factory_;
  const BootId boot_;
  std::atomic<bool> running_ = false;  // senders stand and the device belongs
  std::atomic<int> connected_ = -1;    // not known yet, no, yes: of telemetry

  mutable absl::Mutex mutex_;
  std::unique_ptr<JoinResponder> responder_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Member> member_ ABSL_GUARDED_BY(mutex_);
  std::optional<CommandMarks> marks_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ClaimWatch> claims_ ABSL_GUARDED_BY(mutex_);
  Lease lease_ ABSL_GUARDED_BY(mutex_);
  bool member_changed_ ABSL_GUARDED_BY(mutex_) = false;  // since it was stored
  absl::Duration member_stored_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  std::unique_ptr<StreamSender> telemetry_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<StreamSender> state_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<CommandLink> commands_ ABSL_GUARDED_BY(mutex_);
  absl::Duration next_sample_ ABSL_GUARDED_BY(mutex_);
  absl::Duration next_tick_ ABSL_GUARDED_BY(mutex_);
  absl::Duration last_tick_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  bool probed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Duration> heard_at_ ABSL_GUARDED_BY(mutex_);  // when a hop last acknowledged
  uint64_t heard_ ABSL_GUARDED_BY(mutex_) = 0;                      // groups that one had by then
  uint64_t went_safe_ ABSL_GUARDED_BY(mutex_) = 0;
  bool safe_ ABSL_GUARDED_BY(mutex_) = false;  // its output is what was declared safe
  bool exhausted_told_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t commands_done_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t commands_refused_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<bool> fresh_ = false;       // first power-up, or reset
  std::atomic<int> refused_ = 0;          // times in a row that the hop did not accept the certificate
  std::unique_ptr<KeyringLink> keyring_;  // Join, Start and Stop only
  bool stopped_ = false;                  // likewise
};

}  // namespace keystead::device_sim
