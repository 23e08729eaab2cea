#include "mobile-stub/guest.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/member/join_session.h"
#include "core/member/keyring_link.h"
#include "core/member/offered_member.h"
#include "core/transport/executor.h"

namespace keystead::mobile {
namespace {

constexpr char kKind[] = "guest";  // what it says it is

// Identity key, label and offer of a newcomer, as the file `joining` has them.
struct GuestIdentity {
  crypto::EcdsaKeyPair ik;
  SecretBytes setup_code;
  SecretBytes responder;  // JoinResponder::Serialize; empty: not begun
  std::string transport;  // SPIFFE id of the certificate with which it was begun

  static absl::StatusOr<GuestIdentity> Make(RandomSource& random) {
    GuestIdentity out;
    KS_ASSIGN_OR_RETURN(out.ik, crypto::EcdsaKeyPair::Generate(random));
    out.setup_code = random.Secret(membership::kSetupCodeBytes);
    return out;
  }

  static absl::StatusOr<GuestIdentity> Parse(const SecretBytes& encoded) {
    cose::CborReader r(encoded.ExposeSecret());
    GuestIdentity out;
    KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
    KS_ASSIGN_OR_RETURN(const std::string_view transport, r.ReadText());
    out.transport = std::string(transport);
    KS_ASSIGN_OR_RETURN(const ByteView scalar, r.ReadBytes(crypto::kP256ScalarBytes));
    KS_ASSIGN_OR_RETURN(out.ik, crypto::EcdsaKeyPair::FromPrivateScalar(SecretBytes::CopyOf(scalar)));
    KS_ASSIGN_OR_RETURN(const ByteView code, r.ReadBytes(membership::kSetupCodeBytes));
    out.setup_code = SecretBytes::CopyOf(code);
    KS_ASSIGN_OR_RETURN(const ByteView responder, r.ReadBytes());
    out.responder = SecretBytes::CopyOf(responder);
    KS_RETURN_IF_ERROR(r.Finish());
    return out;
  }

  SecretBytes Encode(const SecretBytes& offer) const {
    Bytes plain;
    plain.reserve(offer.size() + transport.size() +
                  256);  // never grows, so that no copy of the secrets stays behind
    cose::CborWriter w(plain);
    w.Array(4).Text(transport).Bstr(ik.ExportPrivateScalar().ExposeSecret()).Bstr(setup_code.ExposeSecret());
    w.Bstr(offer.ExposeSecret());
    SecretBytes out = SecretBytes::CopyOf(plain);
    SecureWipe(plain.data(), plain.size());
    return out;
  }
};

class Joining {
 public:
  Joining(const Engine& engine, const ProgressFn& progress) : engine_(engine), progress_(progress) {}

  absl::Status Begin(const GuestRequest& request) {
    const SpiffeId& id = engine_.transport();
    if (!CanBeGuest(id)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the certificate is of ", id.str(), ": guests are apps, third parties' apps or services"));
    }
    const absl::StatusOr<SecretBytes> begun = engine_.state().LoadJoining();
    if (!begun.ok() && !absl::IsNotFound(begun.status())) return begun.status();
    absl::StatusOr<GuestIdentity> self =
        begun.ok() ? GuestIdentity::Parse(*begun) : GuestIdentity::Make(engine_.random());
    if (!self.ok()) return Damaged();
    self_ = *std::move(self);
    if (!begun.ok()) self_.transport = id.str();
    if (self_.transport != id.str()) {
      return absl::FailedPreconditionError(
          absl::StrCat("joining was begun as ", self_.transport, ", but the certificate is of ", id.str()));
    }
    responder_ = std::make_unique<JoinResponder>(
        JoinResponder::Identity{id.tenant(), id.id(), kKind, id.str(), &self_.ik, &self_.setup_code},
        engine_.random());
    if (!self_.responder.empty() && !responder_->Restore(self_.responder).ok()) return Damaged();
    KS_RETURN_IF_ERROR(Store(responder_->Serialize()));
    membership::Label label;
    label.tenant = id.tenant();
    label.device_id = id.id();
    label.ckt = cose::Ckt(self_.ik.public_key());
    label.setup_code = self_.setup_code.Clone();
    return request.show(label);
  }

  absl::StatusOr<Member> Run(absl::Duration patience) {
    const absl::Time deadline = absl::Now() + patience;
    JoinSessionOptions options;
    options.channel = engine_.channel();
    options.responder = responder_.get();
    options.mutex = &mutex_;
    options.boot = engine_.boot();
    options.clock = &engine_.clock();
    options.store = [this](const SecretBytes& encoded) { return Store(encoded); };
    options.on_offer = [this](const JoinResponder::Offer&) { Follow(); };
    options.on_event = [this](std::string_view event) { Tell(event); };
    options.stop = [this, deadline] {
      absl::MutexLock lock(&mutex_);
      return !failed_.ok() || absl::Now() > deadline;
    };
    absl::Status ended;
    do {
      ended = RunJoinSession(options);  // one arming may be over before a patient guest's time is
    } while (absl::IsDeadlineExceeded(ended) && !options.stop() && !Answered());
    keyring_.reset();  // the last that uses the member
    absl::MutexLock lock(&mutex_);
    KS_RETURN_IF_ERROR(failed_);
    if (responder_->state() == JoinResponder::State::kOwned) {
      KS_RETURN_IF_ERROR(engine_.state().DropJoining());
      return std::move(*member_);
    }
    // Somebody else saw the label, or its owner took it and then let nobody in: it is good for nothing more.
    const bool spent = absl::IsAborted(ended) || responder_->state() == JoinResponder::State::kOffered;
    if (spent) KS_RETURN_IF_ERROR(engine_.state().DropJoining());
    if (ended.ok() && spent) {
      ended = absl::DeadlineExceededError(
          "the label was taken, and this app was not let in: 'join' makes another label, into another file");
    } else if (ended.ok()) {
      ended = absl::DeadlineExceededError(
          "nobody let this app in yet: its owner pairs it by the label, and 'join' goes on with the same "
          "one");
    }
    return ended;
  }

 private:
  bool Answered() {
    absl::MutexLock lock(&mutex_);
    return responder_->state() == JoinResponder::State::kOffered ||
           responder_->state() == JoinResponder::State::kOwned;
  }
  absl::Status Damaged() const {
    return absl::DataLossError(absl::StrCat("state file ", engine_.state().folder(),
                                            "/joining is damaged: delete it, and join with a new label"));
  }
  absl::Status Store(const SecretBytes& encoded) const {
    return engine_.state().SaveJoining(self_.Encode(encoded));
  }
  void Tell(std::string_view event) const {
    if (progress_) progress_({std::string(event), engine_.transport().id(), ""});
  }

  // THREAD: the one that joins.
  void Follow() {
    {
      absl::MutexLock lock(&mutex_);
      if (keyring_ != nullptr && member_ != nullptr && responder_->offer().has_value() &&
          IsOf(*member_, *responder_->offer())) {
        return;  // the same offer told again
      }
    }
    keyring_.reset();  // nobody looks at the old offer's keyring any more
    KeyringLink::Options options;
    {
      absl::MutexLock lock(&mutex_);
      if (responder_->state() != JoinResponder::State::kOffered) return;
      member_ =
          MakeOfferedMember(*responder_->offer(), engine_.transport().tenant(), self_.ik, &engine_.clock());
      options.id = member_->identity().id;
      options.member = member_.get();
    }
    options.channel = engine_.channel();
    options.tenant = engine_.transport().tenant();
    options.executor = &executor_;
    options.mutex = &mutex_;
    options.on_effect = [this](KeyringEffect effect) ABSL_NO_THREAD_SAFETY_ANALYSIS { Take(effect); };
    keyring_ = std::make_unique<KeyringLink>(options);
    keyring_->Start();
  }

  // THREAD: executor.
  void Take(KeyringEffect effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (effect != KeyringEffect::kEpoch || !member_->belongs() ||
        responder_->state() == JoinResponder::State::kOwned) {
      return;
    }
    if (!MayBeOwned(*member_, *responder_, engine_.boot(), engine_.clock().Uptime())) return;
    // The member before the responder: whoever is owned has keys.
    failed_ = engine_.state().CreateGuest(engine_.transport().str(), *member_);
    if (failed_.ok()) failed_ = responder_->BecomeOwned();
  }

  const Engine& engine_;
  const ProgressFn& progress_;
  absl::Mutex mutex_;
  GuestIdentity self_;
  std::unique_ptr<JoinResponder> responder_;  // under mutex_ once the session runs
  std::unique_ptr<Member> member_ ABSL_GUARDED_BY(mutex_);
  absl::Status failed_ ABSL_GUARDED_BY(mutex_);
  Executor executor_{1};
  std::unique_ptr<KeyringLink> keyring_;
};

}  // namespace

bool CanBeGuest(const SpiffeId& id) {
  return id.role() == Role::kApp || id.role() == Role::kThirdParty || id.role() == Role::kService;
}

absl::StatusOr<Member> JoinAsGuest(const Engine& engine, const GuestRequest& request,
                                   const ProgressFn& progress) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_ASSIGN_OR_RETURN(const AppState::Lock changes, engine.state().LockChanges());
  if (engine.state().IsGuest()) KS_RETURN_IF_ERROR(engine.state().DropJoining());  // cut short right before
  if (engine.state().HasHome()) {
    return absl::FailedPreconditionError(absl::StrCat("state folder ", engine.state().folder(),
                                                      " has a home already: join with one of its own"));
  }
  Joining joining(engine, progress);
  KS_RETURN_IF_ERROR(joining.Begin(request));
  return joining.Run(request.patience);
}

}  // namespace keystead::mobile
