#include "infra-sim/forge.h"

#include <optional>

#include "core/base/bytes.h"
#include "core/cose/cbor_writer.h"
#include "core/cose/encrypt0.h"
#include "core/cose/sign1.h"
#include "core/crypto/aead.h"
#include "core/crypto/p256.h"
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

// CBOR["ks1 sig", kind, tenant, id, topic, sender, stream, epoch, seq]: all of it public, so a forger has it.
Bytes SignatureAad(std::string_view kind, const v1::StreamHeader& header, uint64_t sequence) {
  if (kind == "commit") {
    return cose::EncodeArray("ks1 sig", kind, header.tenant(), AsBytes(header.instantiation()), std::nullopt,
                             std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  }
  return cose::EncodeArray("ks1 sig", kind, header.tenant(), AsBytes(header.instantiation()), header.topic(),
                           AsBytes(header.sender()), AsBytes(header.stream()), header.epoch(), sequence);
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

Forged ForgeSign1(std::string_view genuine, const v1::StreamHeader& header, uint64_t sequence) {
  const auto key = crypto::EcdsaKeyPair::Generate();
  if (!key.ok()) return {};
  const auto regions = LocateRegions(genuine);
  const std::string how = "signed with a key of the attacker";
  if (!regions.has_value() || !regions->is_sign1 || regions->tag->size != crypto::kSignatureBytes) {
    const auto made = cose::SignSign1(*key, "ks1/readings", AsBytes(genuine.substr(0, 64)),
                                      SignatureAad("readings", header, sequence));
    return made.ok() ? Forged{ToString(*made), how} : Forged{};
  }
  const auto protected_header =
      genuine.substr(regions->protected_header->begin, regions->protected_header->size);
  const auto payload = genuine.substr(regions->body->begin, regions->body->size);
  const Bytes aad = SignatureAad(KindOf(protected_header), header, sequence);
  const auto signature = key->Sign(cose::SigStructure(AsBytes(protected_header), aad, AsBytes(payload)));
  if (!signature.ok()) return {};
  std::string out(genuine);
  out.replace(regions->tag->begin, regions->tag->size, AsChars(*signature));
  return {std::move(out), how};
}

}  // namespace keystead::infra
