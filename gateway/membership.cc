#include "gateway/membership.h"

#include <atomic>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/base/status.h"
#include "core/cose/cose_key.h"
#include "core/member/join_session.h"
#include "core/member/keyring_link.h"
#include "core/member/offered_member.h"
#include "core/membership/label.h"
#include "core/observe/log.h"
#include "core/sealing/joining.h"
#include "core/sealing/member.h"
#include "core/transport/group_view.h"

namespace keystead::gateway {
namespace {

constexpr std::string_view kIkFile = "ik";
constexpr std::string_view kSetupFile = "setup-code";
constexpr std::string_view kJoinFile = "join";
constexpr std::string_view kMemberFile = "member";
constexpr std::string_view kKind = "gateway";

absl::Status Named(const StateFolder& folder, std::string_view file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(folder.PathOf(file), ": ", status.message()));
}

}  // namespace

class Membership::Impl {
 public:
  explicit Impl(const Options& options) : options_(options) {}

  absl::Status LoadFactory();
  absl::Status LoadJoin();
  absl::Status Reset();
  absl::Status WriteLabel(const std::string& path) const;
  absl::Status Start(LocalKeyring* keyring);
  void Stop();
  void KeyringGrew();
  bool belongs() const { return belongs_; }
  std::optional<InstantiationId> instantiation() const {
    absl::MutexLock lock(&wake_);
    return id_;
  }

 private:
  void RunJoining();  // THREAD: joining_
  void TakeOffer();
  void DropOffer();
  absl::Status BecomeOwned() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReadKeyring();  // THREAD: executor, one at a time
  absl::Status ReadSome(bool& more);
  absl::Status Accept(const storage::Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Announce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  LocalKeyring* keyring_ = nullptr;
  crypto::EcdsaKeyPair ik_;
  SecretBytes setup_code_;
  BootId boot_;

  absl::Mutex mutex_;  // held while signatures are verified and files written
  std::unique_ptr<JoinResponder> responder_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Member> member_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_offset_ ABSL_GUARDED_BY(mutex_) = 0;
  GroupHeaderCache headers_ ABSL_GUARDED_BY(mutex_);

  mutable absl::Mutex wake_;  // taken after mutex_, for a moment only
  std::optional<InstantiationId> id_ ABSL_GUARDED_BY(wake_);
  bool reading_ ABSL_GUARDED_BY(wake_) = false;
  bool again_ ABSL_GUARDED_BY(wake_) = false;

  std::atomic<bool> belongs_{false};
  std::atomic<bool> stopping_{false};
  std::thread joining_;
};

// Factory
// ----------------------------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Membership>> Membership::Open(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  KS_RETURN_IF_ERROR(impl->LoadFactory());
  KS_RETURN_IF_ERROR(impl->LoadJoin());
  return std::unique_ptr<Membership>(new Membership(std::move(impl)));
}

Membership::Membership(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Membership::~Membership() { Stop(); }
absl::Status Membership::Reset() { return impl_->Reset(); }
absl::Status Membership::WriteLabel(const std::string& path) const { return impl_->WriteLabel(path); }
absl::Status Membership::Start(LocalKeyring* keyring) { return impl_->Start(keyring); }
void Membership::Stop() { impl_->Stop(); }
void Membership::KeyringGrew() { impl_->KeyringGrew(); }
bool Membership::belongs() const { return impl_->belongs(); }
std::optional<InstantiationId> Membership::instantiation() const { return impl_->instantiation(); }

absl::Status Membership::Impl::LoadFactory() {
  const StateFolder& folder = *options_.folder;
  RandomSource& random = RandomSource::System();
  boot_ = random.NewId<BootId>();
  // The setup code first: a key without a code would be an identity nobody can pair with.
  if (!folder.Has(kSetupFile)) {
    KS_RETURN_IF_ERROR(folder.Write(kSetupFile, random.Secret(membership::kSetupCodeBytes)));
  }
  if (!folder.Has(kIkFile)) {
    KS_ASSIGN_OR_RETURN(const crypto::EcdsaKeyPair fresh, crypto::EcdsaKeyPair::Generate(random));
    KS_RETURN_IF_ERROR(folder.Write(kIkFile, fresh.ExportPrivateScalar()));
  }
  KS_ASSIGN_OR_RETURN(setup_code_, folder.Read(kSetupFile));
  if (setup_code_.size() != membership::kSetupCodeBytes)
    return Named(folder, kSetupFile, absl::DataLossError("has another size than a setup code"));
  KS_ASSIGN_OR_RETURN(const SecretBytes scalar, folder.Read(kIkFile));
  absl::StatusOr<crypto::EcdsaKeyPair> ik = crypto::EcdsaKeyPair::FromPrivateScalar(scalar);
  if (!ik.ok()) return Named(folder, kIkFile, ik.status());
  ik_ = *std::move(ik);
  return membership::CheckDeviceId(options_.self.id());
}

absl::Status Membership::Impl::LoadJoin() {
  const StateFolder& folder = *options_.folder;
  JoinResponder::Identity identity;
  identity.tenant = options_.self.tenant();
  identity.device_id = options_.self.id();
  identity.kind = std::string(kKind);
  identity.transport = options_.self.str();
  identity.ik = &ik_;
  identity.setup_code = &setup_code_;
  absl::MutexLock lock(&mutex_);
  responder_ = std::make_unique<JoinResponder>(std::move(identity), RandomSource::System());
  if (folder.Has(kJoinFile)) {
    KS_ASSIGN_OR_RETURN(const SecretBytes join, folder.Read(kJoinFile));
    if (absl::Status status = responder_->Restore(join); !status.ok())
      return Named(folder, kJoinFile, status);
  }
  if (!folder.Has(kMemberFile)) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const SecretBytes stored, folder.Read(kMemberFile));
  absl::StatusOr<Member> member = Member::Parse(stored, options_.clock);
  if (!member.ok()) return Named(folder, kMemberFile, member.status());
  if (member->identity().tenant != options_.self.tenant())
    return Named(folder, kMemberFile, absl::FailedPreconditionError("belongs to another tenant"));
  member_ = std::make_unique<Member>(*std::move(member));
  belongs_ = member_->belongs();
  absl::MutexLock wake(&wake_);
  id_ = member_->identity().id;
  return absl::OkStatus();
}

absl::Status Membership::Impl::Reset() {
  absl::MutexLock lock(&mutex_);
  responder_->Reset();
  KS_RETURN_IF_ERROR(options_.folder->Write(kJoinFile, responder_->Serialize()));
  KS_RETURN_IF_ERROR(options_.folder->Remove(kMemberFile));
  member_.reset();
  belongs_ = false;
  absl::MutexLock wake(&wake_);
  id_.reset();
  return absl::OkStatus();
}

absl::Status Membership::Impl::WriteLabel(const std::string& path) const {
  membership::Label label;
  label.tenant = options_.self.tenant();
  label.device_id = options_.self.id();
  label.ckt = cose::Ckt(ik_.public_key());
  label.setup_code = setup_code_.Clone();
  const absl::Status written = membership::WriteLabelFile(path, label);
  if (!absl::IsAlreadyExists(written)) return written;
  const absl::StatusOr<membership::Label> there = membership::ReadLabelFile(path);
  if (there.ok() && there->ckt == label.ckt && there->setup_code.ConstantTimeEquals(label.setup_code))
    return absl::OkStatus();
  return written;
}

// Joining
// ----------------------------------------------------------------------------------------------------------

absl::Status Membership::Impl::Start(LocalKeyring* keyring) {
  keyring_ = keyring;
  bool owned = false;
  {
    absl::MutexLock lock(&mutex_);
    if (belongs_) KS_RETURN_IF_ERROR(BecomeOwned());  // unless it was before the last stop
    owned = responder_->state() == JoinResponder::State::kOwned;
  }
  if (const std::optional<InstantiationId> id = instantiation(); id.has_value()) {
    KS_ASSIGN_OR_RETURN(const uint64_t position, keyring_->Position(*id));
    options_.follow(*id);
    {
      absl::MutexLock lock(&mutex_);
      next_offset_ = position;
      if (!member_->chain().empty()) Announce();
    }
    KeyringGrew();  // what was stored and not read yet
  }
  if (!owned) joining_ = std::thread([this] { RunJoining(); });
  return absl::OkStatus();
}

absl::Status Membership::Impl::BecomeOwned() {
  if (responder_->state() == JoinResponder::State::kOwned) return absl::OkStatus();
  KS_RETURN_IF_ERROR(responder_->BecomeOwned());
  return options_.folder->Write(kJoinFile, responder_->Serialize());
}

void Membership::Impl::RunJoining() {
  JoinSessionOptions session;
  session.channel = options_.channel;
  {
    absl::MutexLock lock(&mutex_);
    session.responder = responder_.get();
  }
  session.mutex = &mutex_;
  session.boot = boot_;
  session.clock = options_.clock;
  session.store = [this](const SecretBytes& state) { return options_.folder->Write(kJoinFile, state); };
  session.on_offer = [this](const JoinResponder::Offer&) { TakeOffer(); };
  session.on_event = [](std::string_view event) { Log(LogLevel::kInfo, "joining", {{"state", event}}); };
  session.stop = [this] { return stopping_.load(); };
  const absl::Status status = RunJoinSession(session);
  DropOffer();
  if (!status.ok()) {
    Log(LogLevel::kError, "joining_ended",
        {{"reason", Std(status.message())}, {"what_to_do", "start the gateway again to arm it anew"}});
  }
}

void Membership::Impl::TakeOffer() {
  InstantiationId id;
  {
    absl::MutexLock lock(&mutex_);
    if (responder_->state() != JoinResponder::State::kOffered) return;  // a commit was faster
    const JoinResponder::Offer& offer = *responder_->offer();
    if (member_ != nullptr && IsOf(*member_, offer)) return;  // the same offer told again
    member_ = MakeOfferedMember(offer, options_.self.tenant(), ik_, options_.clock);
    next_offset_ = 0;
    id = offer.id;
    absl::MutexLock wake(&wake_);
    id_ = id;
  }
  options_.follow(id);
  KeyringGrew();
}

// Contested, or nobody took it up in time: who was offered the gateway may not have it any more, however late
// its commit comes.
void Membership::Impl::DropOffer() {
  absl::MutexLock lock(&mutex_);
  if (responder_->DropOldOffer(boot_, options_.clock->Uptime())) {
    if (absl::Status status = options_.folder->Write(kJoinFile, responder_->Serialize()); !status.ok())
      Log(LogLevel::kError, "state_not_stored", {{"reason", Std(status.message())}});
  }
  if (responder_->offer().has_value() || responder_->state() == JoinResponder::State::kOwned) return;
  member_.reset();
  absl::MutexLock wake(&wake_);
  id_.reset();
}

void Membership::Impl::Stop() {
  stopping_ = true;
  if (joining_.joinable()) joining_.join();
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(wake_) { return !reading_; };
  absl::MutexLock lock(&wake_);
  wake_.Await(absl::Condition(&idle));
}

// The keyring
// ------------------------------------------------------------------------------------------------------

void Membership::Impl::KeyringGrew() {
  {
    absl::MutexLock lock(&wake_);
    if (stopping_ || !id_.has_value() || keyring_ == nullptr) return;
    again_ = true;
    if (reading_) return;
    reading_ = true;
  }
  options_.executor->Post([this] { ReadKeyring(); });
}

void Membership::Impl::ReadKeyring() {
  while (true) {
    {
      absl::MutexLock lock(&wake_);
      if (!again_ || stopping_) {
        reading_ = false;
        return;
      }
      again_ = false;
    }
    bool more = true;
    while (more && !stopping_) {
      if (absl::Status status = ReadSome(more); !status.ok()) {
        Log(LogLevel::kError, "keyring_not_followed", {{"reason", Std(status.message())}});
        more = false;
      }
    }
  }
}

absl::Status Membership::Impl::ReadSome(bool& more) {
  more = false;
  InstantiationId id;
  uint64_t from = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (member_ == nullptr) return absl::OkStatus();  // its offer was dropped
    id = member_->identity().id;
    from = next_offset_;
  }
  KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> entries, keyring_->Read(id, from));
  if (entries.empty()) return absl::OkStatus();
  for (const storage::Entry& entry : entries) {
    absl::MutexLock lock(&mutex_);
    // Dropped or begun anew meanwhile.
    if (member_ == nullptr || member_->identity().id != id || next_offset_ < from) return absl::OkStatus();
    KS_RETURN_IF_ERROR(Accept(entry));
    next_offset_ = from = entry.offset + 1;
  }
  more = true;
  return keyring_->Note(id, from);
}

absl::Status Membership::Impl::Accept(const storage::Entry& entry) {
  const absl::StatusOr<GroupView> group = GroupView::Parse(*entry.bytes, headers_);
  if (!group.ok()) return absl::DataLossError("a stored keyring entry does not parse");
  for (const RecordView& record : group->records()) {
    const KeyringEffect effect =
        member_->AcceptKeyring(PlaceOf(group->header()), record.sequence, record.cose);
    if (effect == KeyringEffect::kNothing || effect == KeyringEffect::kRefused ||
        effect == KeyringEffect::kProbe)
      continue;
    if (member_->belongs() && !MayBeOwned(*member_, *responder_, boot_, options_.clock->Uptime())) {
      Report({.kind = SecurityEventKind::kJoinRefused,
              .tenant = options_.self.tenant().str(),
              .instantiation = member_->identity().id.ToHex(),
              .detail = "a commit adds this gateway, but no offer of it stands"});
      continue;  // the session drops the member with its offer
    }
    // Durable before it counts. The file of a gateway that no commit names yet is not kept: it still joins.
    // The member before the responder: an owned gateway without keys would be lost.
    if (member_->belongs() || effect == KeyringEffect::kRemoved) {
      KS_RETURN_IF_ERROR(options_.folder->Write(kMemberFile, member_->Serialize()));
    }
    if (member_->belongs()) KS_RETURN_IF_ERROR(BecomeOwned());
    belongs_ = member_->belongs();
    if (effect == KeyringEffect::kEpoch || effect == KeyringEffect::kRemoved) Announce();
  }
  return absl::OkStatus();
}

void Membership::Impl::Announce() {
  Log(LogLevel::kInfo, "membership",
      {{"instantiation", member_->identity().id.ToHex()},
       {"epoch", member_->chain().epoch()},
       {"members", member_->chain().roster().entries().size()},
       {"belongs", member_->belongs()}});
  options_.on_chain(std::make_shared<const MembershipChain>(member_->chain()), member_->belongs());
}

}  // namespace keystead::gateway
