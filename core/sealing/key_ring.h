// The keys one member holds of one instantiation, epoch by epoch: a full member derives them from the epoch
// secret, everybody else holds exactly what was granted. docs/protocol.md, "Who holds what".
#pragma once

#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "core/sealing/key_schedule.h"
#include "core/sealing/wrap.h"

namespace keystead {

// Not thread-safe. Move-only.
class KeyRing {
 public:
  explicit KeyRing(InstantiationId id) : id_(id) {}

  // A new epoch, as its commit opens. Enter one with EnterEpoch (full member) or EnterGrants (everybody
  // else). S of the epoch left stays for `known_senders` until DropSender or ForgetBefore; all else of it is
  // wiped at once: E, T, and the S for one's own writing.
  absl::Status EnterEpoch(uint64_t epoch, EpochSecret secret,
                          const std::vector<std::pair<Topic, MemberId>>& known_senders);
  absl::Status EnterGrants(uint64_t epoch, std::vector<Grant> grants,
                           const std::vector<std::pair<Topic, MemberId>>& known_senders);

  // S of `sender` in `topic`. NOT_FOUND: not granted, or dropped.
  absl::StatusOr<SenderKey> SenderKeyFor(uint64_t epoch, const Topic& topic, const MemberId& sender) const;
  // T, for granting it on. NOT_FOUND: not granted or not of the current epoch.
  absl::StatusOr<TopicKey> TopicKeyFor(const Topic& topic) const;

  void DropSender(uint64_t epoch, const Topic& topic, const MemberId& sender);  // its end was read
  // Whose end was not read in time: see Member::ForgetOldKeys. What went.
  using SenderSlot = std::tuple<uint64_t, Topic, MemberId>;
  std::vector<SenderSlot> ForgetBefore(uint64_t epoch);
  void Wipe();  // who was removed needs none of it; the epoch stays known

  const InstantiationId& id() const { return id_; }
  bool has_epoch() const { return epoch_.has_value(); }
  uint64_t epoch() const { return *epoch_; }
  bool is_full_member() const { return !secret_.empty(); }
  const EpochSecret& epoch_secret() const { return secret_; }

  // For the member's own protected store; the result is as secret as the keys.
  SecretBytes Serialize() const;
  static absl::StatusOr<KeyRing> Parse(const InstantiationId& id, const SecretBytes& encoded);

 private:
  absl::Status LeaveEpoch(uint64_t next, const std::vector<std::pair<Topic, MemberId>>& known_senders);

  InstantiationId id_;
  std::optional<uint64_t> epoch_;
  EpochSecret secret_;                       // full members, current epoch
  std::map<Topic, TopicKey> topics_;         // granted T, current epoch
  std::map<SenderSlot, SenderKey> senders_;  // granted S, and S kept from older epochs
};

}  // namespace keystead
