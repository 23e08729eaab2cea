// Groups as a genuine sender would make them, for the tests of the attacks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "keystead/v1/infra.pb.h"
#include "keystead/v1/records.pb.h"

namespace keystead::infra {

inline constexpr char kHomeTenant[] = "acme.keystead.example";

// `stream` and `member` are told apart by one repeated byte.
v1::StreamHeader Header(uint8_t stream = 1, uint8_t member = 1, uint8_t instantiation = 1, uint64_t epoch = 4,
                        const std::string& tenant = kHomeTenant);
std::string SealedCose(uint64_t sequence, std::string_view plaintext = "twenty degrees");  // a real Encrypt0
std::string SignedCose();  // a keyring record: ["commit", << Sign1 >>]
v1::SealedGroup Group(const v1::StreamHeader& header, uint64_t first_sequence, int records);
v1::SealedGroup KeyringGroup(uint64_t sequence);

v1::ArmRequest Attack(v1::AttackKind kind, v1::AttackTarget target = v1::TARGET_UNSPECIFIED);

}  // namespace keystead::infra
