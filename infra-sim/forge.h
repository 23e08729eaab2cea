// Records of the attacker's own making, in the shapes a genuine one has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/random.h"
#include "core/crypto/p256.h"
#include "keystead/v1/records.pb.h"

namespace keystead::infra {

struct Forged {
  std::string cose;
  std::string how;  // for Injection.detail
};

// After the model of a genuine object of the same stream: of its kid and length. Half of them hold random
// bytes, half are sealed with AES-256-GCM under a key of our own, by `random`.
Forged ForgeEncrypt0(std::string_view genuine, uint64_t sequence, RandomSource& random);

// A Sign1 under `key`, the attacker's own. A genuine object with a Sign1 in it (keyring, registry,
// rendezvous) keeps everything but the signature, which claims the place the genuine one was signed for:
// nothing but the key is wrong. Without one, a Sign1 of type "ks1/readings" is made up.
Forged ForgeSign1(std::string_view genuine, const v1::StreamHeader& header, uint64_t sequence,
                  const crypto::EcdsaKeyPair& key);

}  // namespace keystead::infra
