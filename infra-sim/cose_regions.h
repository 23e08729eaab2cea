// Editing one region of a COSE object so that the rest stays byte for byte what it was and the whole still is
// CBOR. Knows two shapes: COSE_Encrypt0 (RFC 9052, section 5.2), as sealed topics carry it, and the pair
// [kind, body] of `keyring`, in which the first COSE_Sign1 (section 4.2) found inside the body stands for it.
//   region                     Encrypt0                 Sign1 in a pair
//   TARGET_COSE_PROTECTED      protected header         protected header
//   TARGET_COSE_KID            header 4                 kind of the pair, else none
//   TARGET_COSE_PARTIAL_IV     header 6                 none
//   TARGET_COSE_CIPHERTEXT     ciphertext without tag   payload
//   TARGET_COSE_TAG            last 16 bytes            signature
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "keystead/v1/infra.pb.h"

namespace keystead::infra {

struct Span {
  size_t begin = 0;
  size_t size = 0;
};

// Offsets of contents (without their CBOR heads) in the object; absent where it has no such region.
struct CoseRegions {
  std::optional<Span> protected_header;
  std::optional<Span> kid;
  std::optional<Span> partial_iv;
  std::optional<Span> body;        // Encrypt0: ciphertext ‖ tag as one byte string; Sign1: payload
  std::optional<Span> ciphertext;  // Encrypt0: body without tag; Sign1: payload
  std::optional<Span> tag;         // Encrypt0: the last 16 bytes of body; Sign1: signature
  bool is_sign1 = false;
  std::vector<Span> wrappers;  // contents of the byte strings around a Sign1, outermost first
};

// Nothing when the object has neither shape. Tolerant: further headers, long heads and tags are passed over.
std::optional<CoseRegions> LocateRegions(std::string_view cose);

// Whether the bytes are one whole CBOR item, leniently read.
bool IsCbor(std::string_view bytes);

// A copy with exactly this region changed: one bit flipped, in `protected` such that its content still is
// CBOR, in the Partial IV as another minimal number (so that its length may change). Nothing when the object
// has no such region or the region is empty.
std::optional<std::string> ModifyRegion(std::string_view cose, v1::AttackTarget target, RandomSource& random);

// TARGET_COSE_CIPHERTEXT: bytes taken out of the ciphertext, the tag kept. TARGET_COSE_TAG: bytes cut off the
// end of the body. Both with the byte string's head rewritten, so that the object still is CBOR.
std::optional<std::string> ShortenRegion(std::string_view cose, v1::AttackTarget target,
                                         RandomSource& random);

// A byte string's head and content, shortest form.
std::string EncodeBstr(std::string_view content);

// Uniform enough for picking bits and records: below `bound`, which is not 0.
uint64_t Below(RandomSource& random, uint64_t bound);

}  // namespace keystead::infra
