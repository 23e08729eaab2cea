// From a commit to the key of one stream. All HKDF-SHA-256. docs/protocol.md, "Key schedule".
//   joiner  = Extract(Expand(E_n, "ks1 init"), commit_secret)
//   E_{n+1} = Expand(joiner, ["ks1 epoch", id, n+1, SHA-256(body)])
//   T = Expand(E, ["ks1 topic", id, n, topic])      S = Expand(T, ["ks1 sender", sender])
#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"
#include "core/base/topic.h"

namespace keystead {

inline constexpr size_t kSecretBytes = 32;

// Secrets that must not be swapped have types of their own. Move-only, 32 bytes.
template <class Tag>
class TypedSecret {
 public:
  TypedSecret() = default;
  explicit TypedSecret(SecretBytes secret) : secret_(std::move(secret)) {}
  const SecretBytes& secret() const { return secret_; }
  bool empty() const { return secret_.empty(); }
  TypedSecret Clone() const { return TypedSecret(secret_.Clone()); }

 private:
  SecretBytes secret_;
};
using EpochSecret = TypedSecret<struct EpochSecretTag>;    // E_n: full members only
using JoinerSecret = TypedSecret<struct JoinerSecretTag>;  // leads to E_n: new full members, once
using CommitSecret = TypedSecret<struct CommitSecretTag>;  // fresh in every commit
using TopicKey = TypedSecret<struct TopicKeyTag>;          // T: readers of a topic
using SenderKey = TypedSecret<struct SenderKeyTag>;        // S: one sender's writing in a topic
using JoinSecret = TypedSecret<struct JoinSecretTag>;      // J: from the joining exchange, used once

// `previous` is null for commit 0.
absl::StatusOr<JoinerSecret> DeriveJoiner(const EpochSecret* previous, const CommitSecret& commit_secret);
absl::StatusOr<EpochSecret> DeriveEpochSecret(const JoinerSecret& joiner, const InstantiationId& id,
                                              uint64_t epoch, const Digest& body_hash);
absl::StatusOr<TopicKey> DeriveTopicKey(const EpochSecret& secret, const InstantiationId& id, uint64_t epoch,
                                        const Topic& topic);
absl::StatusOr<SenderKey> DeriveSenderKey(const TopicKey& key, const MemberId& sender);

}  // namespace keystead
