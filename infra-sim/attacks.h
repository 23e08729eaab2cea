// The attacks, as functions from one group of records to what goes on in its place. No sockets, no clocks:
// everything an attack needs is handed in. The results still parse as SealedGroup, so that what refuses them
// is a check and not a decoder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/random.h"
#include "infra-sim/group_memory.h"
#include "keystead/v1/infra.pb.h"
#include "keystead/v1/records.pb.h"

namespace keystead::infra {

// Pseudo-topics under which what is no record of a topic is shown to the attacks. They are hit only by an
// attack whose topic_prefix names them.
inline constexpr std::string_view kRegistryTopic = "registry";  // bundles of Registry.Submit and Fetch
inline constexpr std::string_view kRendezvousTopic =
    "rendezvous";  // messages of Rendezvous; sender is the box
// The proofs and the chains of Enrollment.Enroll (identity_pass.h).
inline constexpr std::string_view kEnrollmentRequestTopic = "enrollment/request";
inline constexpr std::string_view kEnrollmentChainTopic = "enrollment/chain";
inline constexpr std::string_view kRevocationTopic =
    "revocations";                                    // the objects of Revocation.Put and Fetch
inline constexpr std::string_view kTlsTopic = "tls";  // TLS records; see tls_attacks.h

// Whether the attack's topic_prefix and instantiation fit.
bool Fits(const v1::ArmRequest& attack, const v1::StreamHeader& header);
bool FitsTopic(const v1::ArmRequest& attack, std::string_view topic);

// What goes on: a group on the wire.
struct Piece {
  std::string group;
  std::vector<size_t>
      injections;      // those of Mutation::injections that stand in it; empty: genuine records only
  bool extra = false;  // beyond what the sender sent
};

struct Mutation {
  std::vector<Piece> pieces;  // in this order
  std::vector<v1::Injection>
      injections;             // one per record attacked; attack, direction, listener left to the caller
  bool withhold_ack = false;  // ATTACK_DROP: the sender must not hear that this is durable
  bool hold_back = false;     // ATTACK_REORDER of a lone record: send the pieces after the next group
};

// Attacks at most `budget` (> 0) records of the group. Nothing when the attack does not apply: the filter
// does not fit, the group does not parse or has no such region, or memory holds nothing to splice or replay.
// Genuine records that are not attacked are passed on in their order.
//   MODIFY    another value in exactly the field `target`; the field stays well-formed for what it is.
//   SPLICE    the record's bytes at a place taken from a remembered group: for TOPIC, SENDER, EPOCH, STREAM
//   and
//             SEQUENCE that one field, within the instantiation; for TENANT, INSTANTIATION and unspecified
//             the whole header and sequence.
//   TRUNCATE  unspecified: the object cut off anywhere; COSE_CIPHERTEXT, COSE_TAG: shortened, still CBOR.
//   FORGE     an extra record: unspecified, at the sequence after the group; SEQUENCE, at that of a genuine
//             record; STREAM, as the first of a stream of its own; COSE_PROTECTED, a Sign1 where an Encrypt0
//             belongs. The content is random or sealed under a key of our own; Sign1 objects are signed anew
//             with a key of our own.
//   REPLAY, DUPLICATE  an extra group: an old one, or the same once more.
std::optional<Mutation> Mutate(std::string_view group, const v1::ArmRequest& attack, uint64_t budget,
                               RandomSource& random, const GroupMemory& memory);

// INVALID_ARGUMENT unless kind, target and direction make an attack that exists.
absl::Status CheckAttack(const v1::ArmRequest& attack);

}  // namespace keystead::infra
