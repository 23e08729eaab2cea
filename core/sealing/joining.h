// Becoming a member: a two-message exchange authenticated by the 256-bit code on a label. Both sides as state
// machines without I/O; a member's side is stored by its caller before each message is sent.
// docs/protocol.md, "Joining".
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/crypto/p256.h"
#include "core/membership/label.h"
#include "core/sealing/key_schedule.h"

namespace keystead {

struct ArmTag {
  static constexpr std::string_view kName = "arming";
};
using ArmId = FixedBytes<ArmTag, 16>;

inline constexpr std::string_view kProfile = "ks1";
inline constexpr absl::Duration kArmedFor = absl::Minutes(10);  // of uptime
inline constexpr absl::Duration kOfferedFor = absl::Hours(24);  // of uptime

// Sign1 of kind "announcement" by IK_D. Public; believed because ckt(IK_D) stands on the label.
struct Announcement {
  std::string device_id;
  crypto::EcdsaPublicKey ik;
  crypto::EcdhPublicKey k;  // K_D of this arming
  uint64_t reset_counter = 0;
  ArmId arm;
};
// UNAUTHENTICATED: not by the key of the label, or of another device. UNIMPLEMENTED: does not speak ks1.
absl::StatusOr<Announcement> VerifyAnnouncement(ByteView object, const membership::Label& label);

// Mailboxes at the rendezvous. Who does not know the setup code can neither find nor fill them.
absl::StatusOr<MailboxName> AnnouncementBox(const SecretBytes& setup_code);

struct JoinedMember {
  MemberId member;
  std::string kind;       // "lightbulb", "gateway", …: what the device says it is
  std::string transport;  // its SPIFFE id
  crypto::EcdsaPublicKey ik;
  crypto::EcdhPublicKey k;
  BootId boot;
  absl::Duration uptime;
  Bytes acceptance;
  JoinSecret join;
};

// The owner's side, for one label. Holds one-time secrets and is dropped afterwards. Move-only.
class JoinInitiator {
 public:
  struct Owner {
    TenantName tenant;
    InstantiationId id;
    MemberId member;
    const crypto::EcdsaKeyPair* ik = nullptr;  // must outlive the call only
    crypto::EcdhPublicKey k;
  };
  static absl::StatusOr<JoinInitiator> Start(const membership::Label& label, ByteView announcement,
                                             const Owner& owner, const MemberId& newcomer, int64_t time,
                                             RandomSource& random);

  const Bytes& m1() const { return m1_; }
  const MailboxName& m1_box() const { return m1_box_; }
  const MailboxName& m2_box() const { return m2_box_; }
  // DATA_LOSS or UNAUTHENTICATED: this is not the device's answer to our M1; wait for another message.
  absl::StatusOr<JoinedMember> Finish(ByteView m2) const;

 private:
  JoinInitiator() = default;
  Announcement device_;
  TenantName tenant_;
  InstantiationId id_;
  Digest owner_ckt_;
  MemberId newcomer_;
  crypto::EcdhKeyPair e_a_;
  SecretBytes s_a_;
  SecretBytes psk2_;
  Bytes m1_;
  MailboxName m1_box_;
  MailboxName m2_box_;
};

// A device's (any new member's) side. Every change of state is visible only through Serialize(): store it,
// then send.
class JoinResponder {
 public:
  enum class State { kUnowned, kArmed, kOffered, kOwned };

  struct Identity {
    TenantName tenant;
    std::string device_id;
    std::string kind;
    std::string transport;
    const crypto::EcdsaKeyPair* ik = nullptr;  // must outlive the responder
    const SecretBytes* setup_code = nullptr;   // likewise
  };

  // What came of an M1 that was answered.
  struct Offer {
    InstantiationId id;
    MemberId self;
    MemberId owner;
    crypto::EcdsaPublicKey owner_ik;
    crypto::EcdhKeyPair k;  // for membership
    JoinSecret join;
    Digest m1_hash;
    Bytes m2;
    absl::Duration until_uptime;
    BootId boot;  // uptime counts only within this boot
  };

  JoinResponder(Identity identity, RandomSource& random) : identity_(std::move(identity)), random_(&random) {}

  State state() const { return state_; }
  uint64_t reset_counter() const { return reset_counter_; }
  const std::optional<Offer>& offer() const { return offer_; }

  // A local act. Makes a fresh K_D. FAILED_PRECONDITION when owned.
  absl::Status Arm(const BootId& boot, absl::Duration uptime);
  const Bytes& announcement() const { return announcement_; }  // empty unless armed or offered
  absl::StatusOr<MailboxName> announcement_box() const { return AnnouncementBox(*identity_.setup_code); }
  absl::StatusOr<MailboxName> m1_box() const;
  absl::StatusOr<MailboxName> m2_box() const;

  // M2 for this M1; the same bytes for the same M1. DATA_LOSS or UNAUTHENTICATED: not from somebody with the
  // label; ABORTED: contested, somebody else with the label tried as well, both are discarded;
  // FAILED_PRECONDITION: not armed any more, the offer is over, or owned already; RESOURCE_EXHAUSTED:
  // limits::kMailboxTries messages of this arming were none.
  absl::StatusOr<Bytes> HandleM1(ByteView m1, const BootId& boot, absl::Duration uptime);

  // Whether an offer stands and has not run out. One of an earlier boot, whose uptime is over, has its time
  // again in this boot.
  bool OfferStands(const BootId& boot, absl::Duration uptime) const;
  // An offer that has run out: its secrets go, and the device is unowned. True when there was one.
  bool DropOldOffer(const BootId& boot, absl::Duration uptime);

  // The commit that adds this device has opened: owned, and the setup code is spent.
  absl::Status BecomeOwned();
  // A local act: raises the counter, forgets everything, unowned.
  void Reset();
  // What was stored of the counter elsewhere: it never goes back.
  void RaiseResetCounter(uint64_t at_least) { reset_counter_ = std::max(reset_counter_, at_least); }

  SecretBytes Serialize() const;
  absl::Status Restore(const SecretBytes& encoded);

 private:
  absl::StatusOr<Bytes> Answer(ByteView m1, const BootId& boot, absl::Duration uptime);
  void Disarm();

  Identity identity_;
  RandomSource* random_;
  State state_ = State::kUnowned;
  uint64_t reset_counter_ = 0;
  Bytes announcement_;
  BootId armed_boot_;
  absl::Duration armed_until_;
  size_t tries_ = 0;  // since armed; not stored, since arming does not outlive the boot
  crypto::EcdhKeyPair k_d_;
  std::optional<Offer> offer_;
};

}  // namespace keystead
