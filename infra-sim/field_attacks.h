// What is done to the outer fields of a record: another value for one of them, or another genuine place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/random.h"
#include "infra-sim/group_memory.h"
#include "keystead/v1/infra.pb.h"
#include "keystead/v1/records.pb.h"

namespace keystead::infra {

bool IsPseudoTopic(std::string_view topic);  // attacks.h names them

// Gives exactly the field `target` (TARGET_TENANT … TARGET_STREAM) another value of the same form: a tenant
// stays a DNS name, a topic keeps its kind and names another member, ids keep their length. Returns what was
// done, or "" with nothing changed when the field is empty or no header field.
std::string ModifyHeader(v1::StreamHeader& header, v1::AttackTarget target, RandomSource& random);

struct Place {
  v1::StreamHeader header;
  uint64_t sequence = 0;
  std::string detail;
};

// Another place for a record of `header` and `sequence`, differing in `target`, out of what was seen; see
// Mutate on ATTACK_SPLICE. Nothing when no remembered group offers one.
std::optional<Place> PlaceFor(const v1::StreamHeader& header, uint64_t sequence, v1::AttackTarget target,
                              RandomSource& random, const GroupMemory& memory);

}  // namespace keystead::infra
