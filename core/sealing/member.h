// One member's view of its instantiation: the chain of commits, the keys it opened, the newest head, and the
// probes it should echo. Fed with `keyring` records as a hop delivers them, none of which is believed.
// docs/protocol.md, "Members".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/cose/cbor_reader.h"
#include "core/membership/chain.h"
#include "core/membership/notice.h"
#include "core/observe/security_event.h"
#include "core/sealing/commit_secrets.h"
#include "core/sealing/content.h"
#include "core/sealing/key_ring.h"
#include "core/sealing/record_cipher.h"

namespace keystead {

// What a keyring record did.
enum class KeyringEffect {
  kNothing,  // seen before, or not for us
  kEpoch,    // a commit opened: new keys, perhaps a new roster
  kRemoved,  // a commit without us: seal nothing more
  kHead,
  kProbe,
  kRefused,  // reported as a security event
};

inline constexpr absl::Duration kKeepOldKeys = absl::Hours(30 * 24);

// Not thread-safe. Move-only.
class Member {
 public:
  struct Identity {
    TenantName tenant;
    InstantiationId id;
    MemberId self;
    crypto::EcdsaKeyPair ik;
    crypto::EcdhKeyPair k;
    std::optional<JoinSecret> join;  // until the first commit with us has opened
    Digest owner_ckt;                // whom we joined; commit 0 must be this owner's
  };
  explicit Member(Identity identity, const Clock* clock = &Clock::System());  // must outlive it

  const Identity& identity() const { return identity_; }
  const MembershipChain& chain() const { return chain_; }
  const KeyRing& ring() const { return ring_; }
  KeyRing& ring() { return ring_; }
  // Contents of the commits taken, oldest first: the one of epoch n at [n].
  const std::vector<Bytes>& bundles() const { return bundles_; }
  bool belongs() const { return belongs_; }  // the newest commit holds us and has opened
  const std::optional<Head>& head() const { return head_; }

  // `place` and `sequence` are the record's outer fields, `content` its bytes. `known_senders`: whose keys of
  // the epoch that ends are still needed (Reader::KnownSenders).
  KeyringEffect AcceptKeyring(const StreamPlace& place, uint64_t sequence, ByteView content,
                              const std::vector<std::pair<Topic, MemberId>>& known_senders = {});

  // The owner's own commit, after the registry took it.
  absl::Status EnterOwn(const NewCommit& commit,
                        const std::vector<std::pair<Topic, MemberId>>& known_senders = {});

  // Writing keys of epochs that ended 30 days ago by this member's clock, gone from the ring: what was not
  // read under them is lost (Reader::MembershipChanged says which). Call it now and then, and store the
  // member when something went.
  std::vector<KeyRing::SenderSlot> ForgetOldKeys();

  // For openings and checkpoints: what this member acts under and the latest probe of each reader.
  Freshness MakeFreshness(const BootId& boot, absl::Duration uptime, std::optional<int64_t> time) const;

  // Everything, for the member's own protected store; as secret as its keys.
  SecretBytes Serialize() const;
  static absl::StatusOr<Member> Parse(const SecretBytes& encoded,
                                      const Clock* clock = &Clock::System());  // DATA_LOSS

 private:
  KeyringEffect AcceptCommit(ByteView content, const StreamPlace& place,
                             const std::vector<std::pair<Topic, MemberId>>& known_senders);
  KeyringEffect AcceptNotice(const StreamPlace& place, uint64_t sequence, std::string_view kind,
                             ByteView body);
  void NoteProbe(const Probe& probe);
  KeyringEffect Refuse(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
                       std::string_view why) const;

  void NoteEnd(uint64_t epoch);
  absl::Status ReadEnds(cose::CborReader& r);

  Identity identity_;
  const Clock* clock_;
  MembershipChain chain_;
  KeyRing ring_;
  bool belongs_ = false;
  std::vector<Bytes> bundles_;  // contents of the commits taken, oldest first
  std::optional<Head> head_;
  struct HeardProbe {
    ProbeNonce nonce;
    uint64_t order = 0;
  };
  std::map<MemberId, HeardProbe> probes_;
  uint64_t probes_heard_ = 0;
  struct EpochEnd {
    int64_t time = 0;  // wall clock, seconds
    absl::Duration uptime;
  };
  std::map<uint64_t, EpochEnd> ended_;  // epochs whose keys are not forgotten yet
};

}  // namespace keystead
