#include "device-sim/device.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/member/join_session.h"
#include "core/member/offered_member.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "device-sim/diary.h"

namespace keystead::device_sim {
namespace {

constexpr std::string_view kJoinFile = "join";
constexpr std::string_view kMemberFile = "member";
constexpr StateFolder::Format kJoinFormat{"ks-device-join", 1};
constexpr StateFolder::Format kMemberFormat{"ks-device-member", 1};

absl::Status OrReset(const absl::Status& why) {
  return absl::Status(why.code(), absl::StrCat(why.message(), ": restore it from a copy, or start with ",
                                               "--reset to forget the owner"));
}

absl::Status Damaged(const StateFolder& folder, const std::string& name) {
  return OrReset(absl::DataLossError(absl::StrCat(folder.PathOf(name), " is damaged")));
}

}  // namespace

Device::Device(const DeviceWorld& world, DeviceConfig config, FactoryIdentity factory)
    : world_(world),
      config_(std::move(config)),
      factory_(std::move(factory)),
      boot_(world.random->NewId<BootId>()),
      lease_(world.lease),
      fresh_(factory_.fresh) {}

Device::~Device() { Stop(absl::InfinitePast()); }

absl::StatusOr<std::unique_ptr<Device>> Device::Create(const DeviceWorld& world, DeviceConfig config,
                                                       bool reset) {
  KS_ASSIGN_OR_RETURN(FactoryIdentity factory,
                      LoadOrMakeFactoryIdentity(*world.folder, config.id, *world.random));
  std::unique_ptr<Device> device(new Device(world, std::move(config), std::move(factory)));
  KS_RETURN_IF_ERROR(device->Load(reset));
  return device;
}

absl::Status Device::Load(bool reset) {
  absl::MutexLock lock(&mutex_);
  KS_RETURN_IF_ERROR(LoadResponder(reset));
  if (reset) {
    responder_->Reset();
    // First: the counter never goes back.
    KS_RETURN_IF_ERROR(SaveResetCounter(*world_.store, config_.slot, responder_->reset_counter()));
    KS_RETURN_IF_ERROR(StoreResponder(responder_->Serialize()));
    fresh_ = true;
  }
  if (reset || factory_.fresh) KS_RETURN_IF_ERROR(Forget());  // also what another device of this name left
  KS_RETURN_IF_ERROR(LoadMember());
  KS_ASSIGN_OR_RETURN(marks_, CommandMarks::Load(*world_.store, config_.slot));
  KS_ASSIGN_OR_RETURN(const std::optional<absl::Duration> charged, LoadLease(*world_.store, config_.slot));
  lease_.Resume(charged, world_.clock->Uptime());
  return absl::OkStatus();
}

absl::Status Device::LoadResponder(bool reset) {
  const StateFolder& folder = *world_.folder;
  const std::string name = FileName(kJoinFile);
  responder_ = std::make_unique<JoinResponder>(
      JoinResponder::Identity{config_.tenant, config_.id, config_.kind, config_.transport, &factory_.ik,
                              &factory_.setup_code},
      *world_.random);
  absl::Status read;
  if (folder.Has(name)) {
    const absl::StatusOr<SecretBytes> encoded = folder.ReadChecked(name, kJoinFormat);
    read = !encoded.ok()                         ? OrReset(encoded.status())
           : !responder_->Restore(*encoded).ok() ? Damaged(folder, name)
                                                 : absl::OkStatus();
  } else if (folder.Has(FileName(kMemberFile))) {
    read = OrReset(absl::DataLossError(absl::StrCat(folder.PathOf(name), " is missing")));
  }
  // A reset needs nothing of the file but the counter.
  if (!reset) KS_RETURN_IF_ERROR(read);
  KS_ASSIGN_OR_RETURN(const uint64_t counter, LoadResetCounter(*world_.store, config_.slot));
  responder_->RaiseResetCounter(counter);
  return absl::OkStatus();
}

absl::Status Device::LoadMember() {
  const StateFolder& folder = *world_.folder;
  const std::string name = FileName(kMemberFile);
  const bool member_there = folder.Has(name);
  const JoinResponder::State state = responder_->state();
  if (state == JoinResponder::State::kUnowned || state == JoinResponder::State::kArmed) {
    if (member_there) KS_RETURN_IF_ERROR(Forget());  // a reset that was cut short
  } else if (member_there) {
    const absl::StatusOr<SecretBytes> encoded = folder.ReadChecked(name, kMemberFormat);
    if (!encoded.ok()) return OrReset(encoded.status());
    absl::StatusOr<Member> member = Member::Parse(*encoded, world_.clock);
    if (!member.ok()) return Damaged(folder, name);
    if (!(member->identity().ik.public_key() == factory_.ik.public_key())) {
      return OrReset(absl::DataLossError(absl::StrCat(folder.PathOf(name), " is of another device than ",
                                                      folder.PathOf(FileName("factory")))));
    }
    member_ = std::make_unique<Member>(*std::move(member));
    if (state == JoinResponder::State::kOffered) {  // cut short between the two files
      KS_RETURN_IF_ERROR(responder_->BecomeOwned());
      KS_RETURN_IF_ERROR(StoreResponder(responder_->Serialize()));
    }
  } else if (state == JoinResponder::State::kOwned) {
    return OrReset(absl::DataLossError(absl::StrCat(folder.PathOf(name), " is missing")));
  }
  return absl::OkStatus();
}

absl::Status Device::Forget() {
  KS_RETURN_IF_ERROR(WipeDevice(*world_.store, config_.slot));
  KS_RETURN_IF_ERROR(ForgetDiary(*world_.folder, config_.id));
  return world_.folder->Remove(FileName(kMemberFile));
}

absl::Status Device::StoreResponder(const SecretBytes& encoded) const {
  return world_.folder->WriteChecked(FileName(kJoinFile), kJoinFormat, encoded);
}

absl::Status Device::StoreMember() {
  member_stored_at_ = world_.clock->Uptime();
  KS_RETURN_IF_ERROR(world_.folder->WriteChecked(FileName(kMemberFile), kMemberFormat, member_->Serialize()));
  member_changed_ = false;
  return absl::OkStatus();
}

void Device::Warn(std::string_view event, const absl::Status& status) const {
  if (status.ok()) return;
  Log(LogLevel::kWarning, event, {{"device", config_.id}, {"reason", Std(status.message())}});
}

// Joining
// ---------------------------------------------------------------------------------------------------------------

bool Device::WantsJoin(bool arm) const {
  absl::MutexLock lock(&mutex_);
  const JoinResponder::State state = responder_->state();
  if (state == JoinResponder::State::kOwned) return false;
  return state == JoinResponder::State::kOffered || arm || fresh_;
}

absl::Status Device::Join(const std::function<bool()>& stop) {
  JoinSessionOptions options;
  options.channel = config_.channel;
  {
    absl::MutexLock lock(&mutex_);
    options.responder = responder_.get();
  }
  options.mutex = &mutex_;
  options.boot = boot_;
  options.clock = world_.clock;
  options.store = [this](const SecretBytes& encoded) { return StoreResponder(encoded); };
  options.on_offer = [this](const JoinResponder::Offer&) { FollowOffer(); };
  options.on_event = [this](std::string_view event) {
    Log(LogLevel::kInfo, "pairing", {{"device", config_.id}, {"step", event}});
  };
  options.stop = stop;
  fresh_ = false;
  const absl::Status ended = RunJoinSession(options);
  DropOffer();
  return ended;
}

// Contested, or nobody took it up in time: who was offered the device may not have it any more, however late
// its commit comes.
// THREAD: the one that joins.
void Device::DropOffer() {
  {
    absl::MutexLock lock(&mutex_);
    if (responder_->DropOldOffer(boot_, world_.clock->Uptime()))
      Warn("state_not_stored", StoreResponder(responder_->Serialize()));
    if (responder_->offer().has_value() || responder_->state() == JoinResponder::State::kOwned) return;
  }
  keyring_.reset();  // the last that uses the member
  absl::MutexLock lock(&mutex_);
  member_.reset();
}

// THREAD: the one that joins.
void Device::FollowOffer() {
  {
    absl::MutexLock lock(&mutex_);
    if (keyring_ != nullptr && member_ != nullptr && responder_->offer().has_value() &&
        IsOf(*member_, *responder_->offer())) {
      return;  // the same offer told again
    }
  }
  keyring_.reset();  // nobody looks at the old offer's keyring any more
  {
    absl::MutexLock lock(&mutex_);
    if (responder_->state() != JoinResponder::State::kOffered) return;
    member_ = MakeOfferedMember(*responder_->offer(), config_.tenant, factory_.ik, world_.clock);
  }
  StartKeyring();
}

void Device::StartKeyring() {
  KeyringLink::Options options;
  {
    absl::MutexLock lock(&mutex_);
    options.channel = config_.channel;
    options.tenant = config_.tenant;
    options.id = member_->identity().id;
    options.member = member_.get();
  }
  options.executor = world_.executor;
  options.mutex = &mutex_;
  options.on_effect = [this](KeyringEffect effect) ABSL_NO_THREAD_SAFETY_ANALYSIS { OnKeyring(effect); };
  options.known_senders = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return commands_ != nullptr ? commands_->KnownSenders() : std::vector<std::pair<Topic, MemberId>>();
  };
  options.backoff = world_.backoff;
  keyring_ = std::make_unique<KeyringLink>(options);
  keyring_->Start();
}

// Membership
// ------------------------------------------------------------------------------------------------------------

absl::Status Device::Start() {
  {
    absl::MutexLock lock(&mutex_);
    if (responder_->state() != JoinResponder::State::kOwned) return absl::OkStatus();
    WatchClaims();
    if (member_->belongs()) {
      KS_RETURN_IF_ERROR(Work());
    } else {
      member_->ring().Wipe();  // done already, unless an earlier version of this program was removed
      Log(LogLevel::kWarning, "removed",
          {{"device", config_.id}, {"instantiation", member_->identity().id.ToHex()}});
    }
  }
  StartKeyring();
  return absl::OkStatus();
}

// THREAD: executor.
void Device::OnKeyring(KeyringEffect effect) {
  // Whom the device does not belong to yet has nothing to say to it but that it does.
  if (effect != KeyringEffect::kEpoch && responder_->state() != JoinResponder::State::kOwned) return;
  switch (effect) {
    case KeyringEffect::kEpoch:
      return OnEpoch();
    case KeyringEffect::kRemoved:
      running_ = false;
      if (telemetry_ != nullptr) Warn("stream_not_closed", telemetry_->EndStream());
      if (state_ != nullptr) Warn("stream_not_closed", state_->EndStream());
      member_->ring().Wipe();  // what was sealed goes out as it is; nothing is sealed or opened any more
      if (commands_ != nullptr) commands_->MembershipChanged();
      Warn("member_not_stored", StoreMember());
      Log(LogLevel::kWarning, "removed",
          {{"device", config_.id}, {"instantiation", member_->identity().id.ToHex()}});
      return;
    case KeyringEffect::kProbe:
      probed_ = true;
      if (world_.clock->Uptime() - last_tick_ >= absl::Seconds(1)) Tick();  // otherwise the next tick answers
      return;
    case KeyringEffect::kHead:
      lease_.Hear(world_.clock->Uptime());
      member_changed_ = true;
      return;
    case KeyringEffect::kNothing:
    case KeyringEffect::kRefused:
      return;
  }
}

void Device::OnEpoch() {
  if (!member_->belongs()) return;
  if (!MayBeOwned(*member_, *responder_, boot_, world_.clock->Uptime())) {
    Report({.kind = SecurityEventKind::kJoinRefused,
            .tenant = config_.tenant.str(),
            .instantiation = member_->identity().id.ToHex(),
            .detail = "a commit adds this device, but no offer of it stands"});
    return;
  }
  lease_.Hear(world_.clock->Uptime());
  // The member before the responder: an owned device without keys would be lost. If either cannot be stored,
  // a crash leads back to the offer or the epoch before, and the keyring leads here again.
  absl::Status stored = StoreMember();
  const bool joined = responder_->state() == JoinResponder::State::kOffered;
  if (joined && stored.ok()) {
    const Digest m1 = responder_->offer()->m1_hash;
    WatchClaims();
    if (claims_ != nullptr) claims_->Know(m1);
    stored = responder_->BecomeOwned();
    stored.Update(StoreResponder(responder_->Serialize()));
  }
  if (!stored.ok())
    Log(LogLevel::kError, "state_not_stored", {{"device", config_.id}, {"reason", Std(stored.message())}});
  if (telemetry_ != nullptr) Warn("stream_not_closed", telemetry_->EndStream());
  if (state_ != nullptr) Warn("stream_not_closed", state_->EndStream());
  if (commands_ != nullptr) commands_->MembershipChanged();
  Log(LogLevel::kInfo, joined ? "joined" : "epoch",
      {{"device", config_.id},
       {"instantiation", member_->identity().id.ToHex()},
       {"member", member_->identity().self.ToHex()},
       {"epoch", member_->chain().epoch()}});
  Warn("not_started", Work());
}

// An owned device refuses every further try without a word, and says so here.
void Device::WatchClaims() {
  const absl::StatusOr<MailboxName> box = responder_->m1_box();
  if (!box.ok()) return Warn("claims_not_watched", box.status());
  ClaimWatch::Options options;
  options.channel = config_.channel;
  options.box = *box;
  options.tenant = config_.tenant.str();
  options.device = config_.transport;
  claims_ = std::make_unique<ClaimWatch>(options, world_.clock->Uptime());
}

// Senders and commands, once the device belongs.
absl::Status Device::Work() {
  if (telemetry_ == nullptr) {
    KS_ASSIGN_OR_RETURN(telemetry_, MakeSender(TopicKind::kTelemetry, JournalTopic::kTelemetry));
  }
  if (state_ == nullptr) {
    KS_ASSIGN_OR_RETURN(state_, MakeSender(TopicKind::kState, JournalTopic::kState));
  }
  if (commands_ == nullptr) {
    KS_ASSIGN_OR_RETURN(const std::optional<std::string> snapshot,
                        LoadReaderSnapshot(*world_.store, config_.slot));
    CommandLink::Options options;
    options.channel = config_.channel;
    options.executor = world_.executor;
    options.mutex = &mutex_;
    options.member = member_.get();
    options.clock = world_.clock;
    options.backoff = world_.backoff;
    options.on_command = [this](const ReceivedCommand& received)
                             ABSL_NO_THREAD_SAFETY_ANALYSIS { OnCommand(received); };
    options.on_progress = [this](std::string text) {
      SaveReaderSnapshot(*world_.store, config_.slot, std::move(text));
    };
    commands_ = std::make_unique<CommandLink>(options, snapshot.value_or(""));
    commands_->Start();
  }
  running_ = true;
  if (world_.sample) ReportState(config_.signal->Take(world_.clock->Now()));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StreamSender>> Device::MakeSender(TopicKind kind, JournalTopic journal) {
  StreamSender::Options options;
  options.store = world_.store;
  options.journal = JournalOf(config_.slot, journal);
  options.journal_bytes = world_.journal_bytes;
  options.linger = world_.linger;
  options.publisher.backoff = world_.backoff;
  options.limits = world_.stream_limits;
  options.clock = world_.clock;
  options.random = world_.random;
  StreamSender::Callbacks callbacks;
  callbacks.keys = [this, kind] { return KeysFor(kind); };
  callbacks.freshness = [this] { return MakeFreshness(); };
  if (kind == TopicKind::kTelemetry) {
    callbacks.on_connection = [this](const absl::Status& status) { OnConnection(status); };
  }
  absl::StatusOr<std::unique_ptr<StreamSender>> sender =
      StreamSender::Create(options, std::move(callbacks), config_.channel);
  if (sender.ok()) return sender;
  return absl::Status(sender.status().code(),
                      absl::StrCat("journal of ", config_.id, ": ", sender.status().message()));
}

// Under mutex_: senders are used with it held only.
absl::StatusOr<StreamSender::Keys> Device::KeysFor(TopicKind kind) {
  if (!member_->belongs()) return absl::UnavailableError("the device does not belong to an instantiation");
  const Member::Identity& identity = member_->identity();
  StreamSender::Keys keys;
  keys.config.tenant = identity.tenant;
  keys.config.id = identity.id;
  keys.config.topic = Topic::Of(kind, identity.self);
  keys.config.sender = identity.self;
  keys.config.epoch = member_->chain().epoch();
  KS_ASSIGN_OR_RETURN(keys.key,
                      member_->ring().SenderKeyFor(keys.config.epoch, keys.config.topic, identity.self));
  keys.ik = &factory_.ik;
  return keys;
}

Freshness Device::MakeFreshness() {
  return member_->MakeFreshness(boot_, world_.clock->Uptime(), absl::ToUnixSeconds(world_.clock->Now()));
}

// THREAD: gRPC's.
void Device::OnConnection(const absl::Status& status) {
  // Once is what happens when a certificate lapses on a connection that is older than the next one.
  refused_ = absl::IsUnauthenticated(status) ? refused_ + 1 : 0;
  if (refused_ > 1 && config_.on_refused) config_.on_refused();
  const int now = status.ok() ? 1 : 0;
  if (connected_.exchange(now) == now) return;
  if (status.ok()) {
    Log(LogLevel::kInfo, "connected", {{"device", config_.id}});
  } else {
    Log(LogLevel::kWarning, "disconnected", {{"device", config_.id}, {"reason", Std(status.message())}});
  }
}

// The end
// ---------------------------------------------------------------------------------------------------------------

void Device::Close() {
  running_ = false;
  if (keyring_ != nullptr) keyring_->Stop();
  CommandLink* commands = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    commands = commands_.get();
  }
  if (commands != nullptr) commands->Stop();
  absl::MutexLock lock(&mutex_);
  if (telemetry_ != nullptr) Warn("stream_not_closed", telemetry_->EndStream());
  if (state_ != nullptr) Warn("stream_not_closed", state_->EndStream());
}

void Device::Stop(absl::Time until) {
  if (std::exchange(stopped_, true)) return;
  running_ = false;
  if (keyring_ != nullptr) keyring_->Stop();
  CommandLink* commands = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    commands = commands_.get();
  }
  if (commands != nullptr) commands->Stop();
  absl::MutexLock lock(&mutex_);  // nobody else wants it any more
  claims_.reset();
  for (StreamSender* sender : {telemetry_.get(), state_.get()}) {
    if (sender != nullptr) sender->Stop(std::max(absl::ZeroDuration(), until - absl::Now()));
  }
  if (member_ != nullptr && responder_->state() == JoinResponder::State::kOwned) {
    Warn("member_not_stored", StoreMember());
  }
}

DeviceTotals Device::Totals() const {
  absl::MutexLock lock(&mutex_);
  DeviceTotals totals;
  if (telemetry_ != nullptr) totals.telemetry = telemetry_->GetStats();
  if (state_ != nullptr) totals.state = state_->GetStats();
  totals.commands_done = commands_done_;
  totals.commands_refused = commands_refused_;
  totals.went_safe = went_safe_;
  return totals;
}

}  // namespace keystead::device_sim
