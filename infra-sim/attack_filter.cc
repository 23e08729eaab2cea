// Which traffic an attack is meant for, and which attacks there are at all.
#include "infra-sim/attacks.h"
#include "infra-sim/field_attacks.h"

namespace keystead::infra {

bool FitsTopic(const v1::ArmRequest& attack, std::string_view topic) {
  const bool pseudo = IsPseudoTopic(topic);
  if (pseudo && attack.topic_prefix().empty()) return false;
  return topic.starts_with(attack.topic_prefix());
}

bool Fits(const v1::ArmRequest& attack, const v1::StreamHeader& header) {
  return FitsTopic(attack, header.topic()) &&
         (attack.instantiation().empty() || attack.instantiation() == header.instantiation());
}

absl::Status CheckAttack(const v1::ArmRequest& attack) {
  if (attack.kind() == v1::ATTACK_UNSPECIFIED || !v1::AttackKind_IsValid(attack.kind())) {
    return absl::InvalidArgumentError("no such kind of attack");
  }
  if (!v1::AttackTarget_IsValid(attack.target())) return absl::InvalidArgumentError("no such target");
  if (!attack.direction().empty() && attack.direction() != "up" && attack.direction() != "down") {
    return absl::InvalidArgumentError("direction is up, down or empty");
  }
  if (attack.topic_prefix().starts_with(kTlsTopic)) return absl::OkStatus();
  if (attack.kind() == v1::ATTACK_MODIFY && attack.target() == v1::TARGET_UNSPECIFIED) {
    return absl::InvalidArgumentError("modify needs a target");
  }
  if (attack.kind() == v1::ATTACK_SPLICE && attack.target() > v1::TARGET_SEQUENCE) {
    return absl::InvalidArgumentError("splice takes an outer field as target");
  }
  if (attack.kind() == v1::ATTACK_TRUNCATE && attack.target() != v1::TARGET_UNSPECIFIED &&
      attack.target() != v1::TARGET_COSE_CIPHERTEXT && attack.target() != v1::TARGET_COSE_TAG) {
    return absl::InvalidArgumentError("truncate takes no target, cose_ciphertext or cose_tag");
  }
  return absl::OkStatus();
}

}  // namespace keystead::infra
