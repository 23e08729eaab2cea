#include "infra-sim/forge.h"

#include <optional>

#include "core/base/bytes.h"
#include "core/cose/cbor_reader.h"
#include "core/cose/cbor_writer.h"
#include "core/cose/encrypt0.h"
#include "core/cose/sign1.h"
#include "core/crypto/aead.h"
#include "core/membership/commit.h"
#include "core/membership/signed_object.h"
#include "infra-sim/cose_regions.h"

namespace keystead::infra {
namespace {

constexpr uint8_t kGcmHeader[] = {0xa1, 0x01, 0x03};  // {1: 3}

Bytes PartialIv(uint64_t sequence) {
  Bytes out;
  for (int shift = 56; shift >= 0; shift -= 8) {
    const auto byte = static_cast<uint8_t>(sequence >> shift);
    if (byte != 0 || !out.empty() || shift == 0) out.push_back(byte);
  }
  return out;
}

std::string RandomEncrypt0(ByteView kid, uint64_t sequence, size_t body_size, RandomSource& random) {
  Bytes body(body_size);
  random.Fill(body);
  cose::CborWriter writer;
  writer.Array(3).Bstr(kGcmHeader).Map(2).Uint(4).Bstr(kid).Uint(6).Bstr(PartialIv(sequence)).Bstr(body);
  return ToString(writer.bytes());
}

// The place a commit is signed for stands in the commit itself: keyring, its owner, its epoch
// (core/membership). So a forger claims the true one, and it is the key that has to give it away.
std::optional<Bytes> CommitAad(std::string_view payload) {
  cose::CborReader in(AsBytes(payload));
  if (!in.ReadArrayOf(2).ok()) return std::nullopt;
  const auto encoded = in.ReadBytes();
  if (!encoded.ok()) return std::nullopt;
  const auto body = CommitBody::Parse(*encoded);
  if (!body.ok()) return std::nullopt;
  const RosterEntry* const owner = body->roster.FindByCkt(body->owner_ckt);
  if (owner == nullptr) return std::nullopt;
  SignedPlace place;
  place.tenant = body->tenant;
  place.id = body->id;
  place.topic = Topic::Keyring();
  place.sender = owner->member;
  place.epoch = body->epoch;
  return keystead::SignatureAad(kinds::kCommit, place);
}

// CBOR["ks1 sig", kind, tenant, id, topic, sender, stream, epoch, seq]: all of it public, so a forger has it.
Bytes PlaceAad(std::string_view kind, const v1::StreamHeader& header, uint64_t sequence,
               std::string_view payload) {
  if (kind == kinds::kCommit) {
    if (auto aad = CommitAad(payload); aad.has_value()) return *std::move(aad);
  }
  return cose::EncodeArray("ks1 sig", kind, header.tenant(), AsBytes(header.instantiation()), header.topic(),
                           AsBytes(header.sender()), AsBytes(header.stream()), header.epoch(), sequence);
}

// Members refuse the form with the larger s whoever signed, which would hide whether they look at the key.
// Signing is randomised: half the tries are of the smaller form.
absl::StatusOr<crypto::Signature> SignWithSmallS(const crypto::EcdsaKeyPair& key, ByteView message) {
  constexpr uint8_t kBelowHalfOfTheOrder = 0x7f;
  for (int tries = 0; tries < 64; ++tries) {
    const auto signature = key.Sign(message);
    if (!signature.ok()) return signature.status();
    if ((*signature)[crypto::kSignatureBytes / 2] < kBelowHalfOfTheOrder) return signature;
  }
  return absl::InternalError("no signature of the smaller form");
}

std::string_view KindOf(std::string_view protected_header) {
  const size_t at = protected_header.find("ks1/");
  return at == std::string_view::npos ? std::string_view("readings") : protected_header.substr(at + 4);
}

}  // namespace

Forged ForgeEncrypt0(std::string_view genuine, uint64_t sequence, RandomSource& random) {
  Bytes kid(8);
  random.Fill(kid);
  size_t body_size = 64;
  const auto regions = LocateRegions(genuine);
  if (regions.has_value() && regions->kid.has_value() && regions->body.has_value()) {
    kid = ToBytes(genuine.substr(regions->kid->begin, regions->kid->size));
    body_size = std::max<size_t>(regions->body->size, crypto::kAeadTagBytes);
  }
  if (Below(random, 2) == 0) return {RandomEncrypt0(kid, sequence, body_size, random), "random ciphertext"};
  auto aead = crypto::Aes256Gcm::Create(random.Secret(crypto::kAeadKeyBytes));
  crypto::AeadNonce nonce{};
  random.Fill(nonce);
  const Bytes content = cose::EncodeArray("readings", Bytes(body_size, 0));
  std::string out;
  if (!aead.ok() || !cose::AppendEncrypt0(*aead, nonce, kid, sequence, {}, content, out).ok()) {
    return {RandomEncrypt0(kid, sequence, body_size, random), "random ciphertext"};
  }
  return {std::move(out), "sealed under a key of the attacker"};
}

Forged ForgeSign1(std::string_view genuine, const v1::StreamHeader& header, uint64_t sequence,
                  const crypto::EcdsaKeyPair& key) {
  const auto regions = LocateRegions(genuine);
  const std::string how = "signed with a key of the attacker";
  if (!regions.has_value() || !regions->is_sign1 || regions->tag->size != crypto::kSignatureBytes) {
    const auto made = cose::SignSign1(key, "ks1/readings", AsBytes(genuine.substr(0, 64)),
                                      PlaceAad(kinds::kReadings, header, sequence, {}));
    return made.ok() ? Forged{ToString(*made), how} : Forged{};
  }
  const auto protected_header =
      genuine.substr(regions->protected_header->begin, regions->protected_header->size);
  const auto payload = genuine.substr(regions->body->begin, regions->body->size);
  const Bytes aad = PlaceAad(KindOf(protected_header), header, sequence, payload);
  const auto signature =
      SignWithSmallS(key, cose::SigStructure(AsBytes(protected_header), aad, AsBytes(payload)));
  if (!signature.ok()) return {};
  std::string out(genuine);
  out.replace(regions->tag->begin, regions->tag->size, AsChars(*signature));
  return {std::move(out), how};
}

}  // namespace keystead::infra
