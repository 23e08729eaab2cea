// COSE_Sign1 objects of profile ks1: each carries its kind in the protected header (typ "ks1/<kind>") and is
// bound, through external AAD, to the place it was made for, so that nothing signed can be lifted into
// another place. Of the two forms of an ECDSA signature only the one with the smaller s is made and accepted,
// so that who carries an object cannot give it another hash. docs/protocol.md, "Signed objects".
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/topic.h"
#include "core/crypto/p256.h"

namespace keystead {

namespace kinds {
inline constexpr std::string_view kAnnouncement = "announcement";
inline constexpr std::string_view kM1 = "m1";
inline constexpr std::string_view kM2 = "m2";
inline constexpr std::string_view kAcceptance = "acceptance";
inline constexpr std::string_view kCommit = "commit";
inline constexpr std::string_view kHead = "head";
inline constexpr std::string_view kProbe = "probe";
inline constexpr std::string_view kReadings = "readings";  // not signed one by one
inline constexpr std::string_view kOpening = "opening";
inline constexpr std::string_view kCheckpoint = "checkpoint";
inline constexpr std::string_view kCommand = "cmd";
inline constexpr std::string_view kAnswer = "answer";
inline constexpr std::string_view kReport = "report";  // readings in a state topic, signed one by one
inline constexpr std::string_view kLoss = "loss";
}  // namespace kinds

// Where a signed object belongs. What does not apply is left empty and signed as null.
struct SignedPlace {
  TenantName tenant;  // empty: null (an announcement belongs to no instantiation yet)
  std::optional<InstantiationId> id;
  std::optional<Topic> topic;
  std::optional<MemberId> sender;
  std::optional<StreamId> stream;
  std::optional<uint64_t> epoch;
  std::optional<uint64_t> sequence;
};

// CBOR["ks1 sig", kind, tenant, id, topic, sender, stream, epoch, seq].
Bytes SignatureAad(std::string_view kind, const SignedPlace& place);

absl::StatusOr<Bytes> SignObject(const crypto::EcdsaKeyPair& key, std::string_view kind,
                                 const SignedPlace& place, ByteView payload);

// The payload, a view into `object`. INVALID_ARGUMENT when it is no Sign1; UNAUTHENTICATED when it is of
// another kind or place, `key` did not sign it, or s is not the smaller one.
absl::StatusOr<ByteView> VerifyObject(ByteView object, const crypto::EcdsaPublicKey& key,
                                      std::string_view kind, const SignedPlace& place);

// The payload without any verification: to learn whose key to verify with. Never act on it.
absl::StatusOr<ByteView> UnverifiedPayload(ByteView object);

// CBOR [kind, body]: the plaintext of every record and the content of every keyring record. `body` is one
// byte string: a signed object, or a protobuf for kind "readings".
Bytes EncodeContent(std::string_view kind, ByteView body);
struct ContentView {
  std::string_view kind;
  ByteView body;
};
absl::StatusOr<ContentView> ParseContent(ByteView content);  // INVALID_ARGUMENT

}  // namespace keystead
