#include "core/sealing/key_ring.h"

#include "core/cose/cbor.h"

namespace keystead {

absl::Status KeyRing::LeaveEpoch(uint64_t next,
                                 const std::vector<std::pair<Topic, MemberId>>& known_senders) {
  if (!epoch_.has_value()) return absl::OkStatus();
  if (next <= *epoch_) return absl::FailedPreconditionError("an epoch is entered once and in order");
  std::map<SenderSlot, SenderKey> kept;
  for (const auto& [topic, sender] : known_senders) {
    absl::StatusOr<SenderKey> key = SenderKeyFor(*epoch_, topic, sender);
    if (key.ok()) kept.insert_or_assign(SenderSlot(*epoch_, topic, sender), *std::move(key));
  }
  // What was granted for writing goes as well: nothing is sealed under an old epoch, and a member captured
  // later must not give away what it wrote.
  std::erase_if(senders_, [&](const auto& slot) { return std::get<0>(slot.first) == *epoch_; });
  senders_.merge(kept);
  secret_ = EpochSecret();
  topics_.clear();
  return absl::OkStatus();
}

absl::Status KeyRing::EnterEpoch(uint64_t epoch, EpochSecret secret,
                                 const std::vector<std::pair<Topic, MemberId>>& known_senders) {
  KS_RETURN_IF_ERROR(LeaveEpoch(epoch, known_senders));
  epoch_ = epoch;
  secret_ = std::move(secret);
  return absl::OkStatus();
}

absl::Status KeyRing::EnterGrants(uint64_t epoch, std::vector<Grant> grants,
                                  const std::vector<std::pair<Topic, MemberId>>& known_senders) {
  KS_RETURN_IF_ERROR(LeaveEpoch(epoch, known_senders));
  epoch_ = epoch;
  for (Grant& grant : grants) {
    if (grant.sender.has_value()) {
      senders_.insert_or_assign(SenderSlot(epoch, grant.topic, *grant.sender),
                                SenderKey(std::move(grant.key)));
    } else {
      topics_.insert_or_assign(grant.topic, TopicKey(std::move(grant.key)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TopicKey> KeyRing::TopicKeyFor(const Topic& topic) const {
  if (!secret_.empty()) return DeriveTopicKey(secret_, id_, *epoch_, topic);
  const auto at = topics_.find(topic);
  if (at == topics_.end()) return absl::NotFoundError("no key for this topic");
  return at->second.Clone();
}

absl::StatusOr<SenderKey> KeyRing::SenderKeyFor(uint64_t epoch, const Topic& topic,
                                                const MemberId& sender) const {
  const auto kept = senders_.find(SenderSlot(epoch, topic, sender));
  if (kept != senders_.end()) return kept->second.Clone();
  if (!epoch_.has_value() || epoch != *epoch_) return absl::NotFoundError("no key for this epoch");
  KS_ASSIGN_OR_RETURN(const TopicKey topic_key, TopicKeyFor(topic));
  return DeriveSenderKey(topic_key, sender);
}

void KeyRing::DropSender(uint64_t epoch, const Topic& topic, const MemberId& sender) {
  senders_.erase(SenderSlot(epoch, topic, sender));
}

std::vector<KeyRing::SenderSlot> KeyRing::ForgetBefore(uint64_t epoch) {
  std::vector<SenderSlot> gone;
  while (!senders_.empty() && std::get<0>(senders_.begin()->first) < epoch) {
    gone.push_back(senders_.begin()->first);
    senders_.erase(senders_.begin());
  }
  return gone;
}

void KeyRing::Wipe() {
  secret_ = EpochSecret();
  topics_.clear();
  senders_.clear();
}

SecretBytes KeyRing::Serialize() const {
  Bytes plain;
  plain.reserve(256 + (senders_.size() + topics_.size()) * 192);
  cose::CborWriter w(plain);
  w.Array(4);
  cose::EncodeOne(w, epoch_);
  w.Bstr(secret_.secret().ExposeSecret());
  w.Array(topics_.size());
  for (const auto& [topic, key] : topics_) w.Array(2).Text(topic.str()).Bstr(key.secret().ExposeSecret());
  w.Array(senders_.size());
  for (const auto& [slot, key] : senders_) {
    const auto& [epoch, topic, sender] = slot;
    w.Array(4).Uint(epoch).Text(topic.str()).Bstr(sender.view()).Bstr(key.secret().ExposeSecret());
  }
  SecretBytes out = SecretBytes::CopyOf(plain);
  SecureWipe(plain.data(), plain.size());
  return out;
}

absl::StatusOr<KeyRing> KeyRing::Parse(const InstantiationId& id, const SecretBytes& encoded) {
  cose::CborReader r(encoded.ExposeSecret());
  KeyRing ring(id);
  KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(const bool none, r.TryNull());
  if (!none) {
    KS_ASSIGN_OR_RETURN(ring.epoch_, r.ReadUint());
  }
  KS_ASSIGN_OR_RETURN(const ByteView secret, r.ReadBytes());
  if (!secret.empty() && (none || secret.size() != kSecretBytes))
    return absl::InvalidArgumentError("a stored epoch secret has no epoch or the wrong size");
  if (!secret.empty()) ring.secret_ = EpochSecret(SecretBytes::CopyOf(secret));
  KS_ASSIGN_OR_RETURN(const size_t topics, r.ReadArray());
  for (size_t i = 0; i < topics; ++i) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(const std::string_view name, r.ReadText());
    KS_ASSIGN_OR_RETURN(const Topic topic, Topic::Parse(name));
    KS_ASSIGN_OR_RETURN(const ByteView key, r.ReadBytes(kSecretBytes));
    ring.topics_.insert_or_assign(topic, TopicKey(SecretBytes::CopyOf(key)));
  }
  KS_ASSIGN_OR_RETURN(const size_t senders, r.ReadArray());
  for (size_t i = 0; i < senders; ++i) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
    KS_ASSIGN_OR_RETURN(const uint64_t epoch, r.ReadUint());
    KS_ASSIGN_OR_RETURN(const std::string_view name, r.ReadText());
    KS_ASSIGN_OR_RETURN(const Topic topic, Topic::Parse(name));
    KS_ASSIGN_OR_RETURN(const MemberId sender, r.ReadId<MemberId>());
    KS_ASSIGN_OR_RETURN(const ByteView key, r.ReadBytes(kSecretBytes));
    ring.senders_.insert_or_assign(SenderSlot(epoch, topic, sender), SenderKey(SecretBytes::CopyOf(key)));
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return ring;
}

}  // namespace keystead
