#include "tests/unit/infra_sim/fixtures.h"

#include <stdlib.h>

#include "core/cose/cbor_writer.h"
#include "core/cose/encrypt0.h"
#include "core/cose/sign1.h"
#include "core/crypto/aead.h"
#include "core/crypto/p256.h"

namespace keystead::infra {

v1::StreamHeader Header(uint8_t stream, uint8_t member, uint8_t instantiation, uint64_t epoch,
                        const std::string& tenant) {
  v1::StreamHeader header;
  header.set_tenant(tenant);
  header.set_instantiation(std::string(16, static_cast<char>(instantiation)));
  header.set_sender(std::string(16, static_cast<char>(member)));
  header.set_topic("telemetry/" + ToHex(AsBytes(header.sender())));
  header.set_epoch(epoch);
  header.set_stream(std::string(16, static_cast<char>(stream)));
  return header;
}

std::string SealedCose(uint64_t sequence, std::string_view plaintext) {
  SeededRandom random(7);
  auto aead = crypto::Aes256Gcm::Create(random.Secret(crypto::kAeadKeyBytes));
  crypto::AeadNonce nonce{};
  nonce[11] = static_cast<uint8_t>(sequence);
  const Bytes kid = {1, 2, 3, 4, 5, 6, 7, 8};
  std::string out;
  if (!aead.ok() || !cose::AppendEncrypt0(*aead, nonce, kid, sequence, {}, AsBytes(plaintext), out).ok()) {
    abort();
  }
  return out;
}

std::string SignedCose() {
  const auto key = crypto::EcdsaKeyPair::Generate();
  const Bytes payload = cose::EncodeArray(kHomeTenant, uint64_t{4}, std::string(300, 'r'));
  const auto object = cose::SignSign1(*key, "ks1/commit", payload, {});
  if (!object.ok()) abort();
  return ToString(cose::EncodeArray("commit", *object));
}

v1::SealedGroup Group(const v1::StreamHeader& header, uint64_t first_sequence, int records) {
  v1::SealedGroup group;
  *group.mutable_header() = header;
  for (int i = 0; i < records; ++i) {
    const uint64_t sequence = first_sequence + static_cast<uint64_t>(i);
    v1::SealedRecord& record = *group.add_records();
    record.set_sequence(sequence);
    record.set_cose(SealedCose(sequence, "reading number " + std::to_string(sequence)));
  }
  return group;
}

v1::SealedGroup KeyringGroup(uint64_t sequence) {
  v1::SealedGroup group;
  *group.mutable_header() = Header();
  group.mutable_header()->set_topic("keyring");
  v1::SealedRecord& record = *group.add_records();
  record.set_sequence(sequence);
  record.set_cose(SignedCose());
  return group;
}

v1::ArmRequest Attack(v1::AttackKind kind, v1::AttackTarget target) {
  v1::ArmRequest attack;
  attack.set_kind(kind);
  attack.set_target(target);
  return attack;
}

}  // namespace keystead::infra
