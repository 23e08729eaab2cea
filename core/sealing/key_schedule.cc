#include "core/sealing/key_schedule.h"

#include "core/cose/cbor.h"
#include "core/crypto/hkdf.h"

namespace keystead {

absl::StatusOr<JoinerSecret> DeriveJoiner(const EpochSecret* previous, const CommitSecret& commit_secret) {
  SecretBytes salt(kSecretBytes);  // zeros before commit 0
  if (previous != nullptr) {
    KS_ASSIGN_OR_RETURN(salt, crypto::HkdfExpand(previous->secret(), "ks1 init", kSecretBytes));
  }
  return JoinerSecret(crypto::HkdfExtract(salt, commit_secret.secret()));
}

absl::StatusOr<EpochSecret> DeriveEpochSecret(const JoinerSecret& joiner, const InstantiationId& id,
                                              uint64_t epoch, const Digest& body_hash) {
  const Bytes info = cose::EncodeArray("ks1 epoch", id, epoch, body_hash);
  KS_ASSIGN_OR_RETURN(SecretBytes out, crypto::HkdfExpand(joiner.secret(), info, kSecretBytes));
  return EpochSecret(std::move(out));
}

absl::StatusOr<TopicKey> DeriveTopicKey(const EpochSecret& secret, const InstantiationId& id, uint64_t epoch,
                                        const Topic& topic) {
  const Bytes info = cose::EncodeArray("ks1 topic", id, epoch, topic);
  KS_ASSIGN_OR_RETURN(SecretBytes out, crypto::HkdfExpand(secret.secret(), info, kSecretBytes));
  return TopicKey(std::move(out));
}

absl::StatusOr<SenderKey> DeriveSenderKey(const TopicKey& key, const MemberId& sender) {
  const Bytes info = cose::EncodeArray("ks1 sender", sender);
  KS_ASSIGN_OR_RETURN(SecretBytes out, crypto::HkdfExpand(key.secret(), info, kSecretBytes));
  return SenderKey(std::move(out));
}

}  // namespace keystead
