#include "infra-sim/cose_regions.h"

#include <algorithm>
#include <array>

#include "core/cose/cbor.h"
#include "core/cose/cose_numbers.h"
#include "core/crypto/aead.h"

namespace keystead::infra {
namespace {

using cose::CborReader;
using cose::CborType;
constexpr cose::CborOptions kLenient = {.lenient = true};

Span SpanOf(std::string_view whole, ByteView part) {
  return {static_cast<size_t>(reinterpret_cast<const char*>(part.data()) - whole.data()), part.size()};
}

void SkipTags(CborReader& in) {
  for (auto type = in.Peek(); type.ok() && *type == CborType::kTag; type = in.Peek()) {
    if (!in.ReadTag().ok()) return;
  }
}

// kid and Partial IV out of an unprotected header map.
bool ReadUnprotected(std::string_view cose, CborReader& in, CoseRegions& out) {
  const auto pairs = in.ReadMap();
  if (!pairs.ok()) return false;
  for (size_t i = 0; i < *pairs; ++i) {
    const auto key_type = in.Peek();
    if (!key_type.ok()) return false;
    int64_t key = 0;
    if (*key_type == CborType::kUint || *key_type == CborType::kNegative) {
      const auto number = in.ReadInt();
      if (!number.ok()) return false;
      key = *number;
    } else if (!in.ReadItem().ok()) {
      return false;
    }
    const auto value_type = in.Peek();
    if (!value_type.ok()) return false;
    if (*value_type == CborType::kBytes && (key == cose::kHeaderKid || key == cose::kHeaderPartialIv)) {
      const auto value = in.ReadBytes();
      if (!value.ok()) return false;
      (key == cose::kHeaderKid ? out.kid : out.partial_iv) = SpanOf(cose, *value);
    } else if (!in.ReadItem().ok()) {
      return false;
    }
  }
  return true;
}

std::optional<CoseRegions> LocateEncrypt0(std::string_view cose) {
  CborReader in(AsBytes(cose), kLenient);
  CoseRegions out;
  SkipTags(in);
  if (!in.ReadArrayOf(3).ok()) return std::nullopt;
  const auto protected_header = in.ReadBytes();
  if (!protected_header.ok() || !ReadUnprotected(cose, in, out)) return std::nullopt;
  const auto body = in.ReadBytes();
  if (!body.ok() || !in.Finish().ok()) return std::nullopt;
  out.protected_header = SpanOf(cose, *protected_header);
  out.body = SpanOf(cose, *body);
  if (body->size() >= crypto::kAeadTagBytes) {
    const size_t text = body->size() - crypto::kAeadTagBytes;
    out.ciphertext = Span{out.body->begin, text};
    out.tag = Span{out.body->begin + text, crypto::kAeadTagBytes};
  }
  return out;
}

// A Sign1 that fills `item`; offsets count from the beginning of `whole`.
std::optional<CoseRegions> Sign1At(std::string_view whole, ByteView item) {
  CborReader in(item, kLenient);
  CoseRegions out;
  SkipTags(in);
  if (!in.ReadArrayOf(4).ok()) return std::nullopt;
  const auto protected_header = in.ReadBytes();
  if (!protected_header.ok() || !ReadUnprotected(whole, in, out)) return std::nullopt;
  const auto payload = in.ReadBytes();
  if (!payload.ok()) return std::nullopt;
  const auto signature = in.ReadBytes();
  if (!signature.ok() || !in.Finish().ok()) return std::nullopt;
  out.is_sign1 = true;
  out.protected_header = SpanOf(whole, *protected_header);
  out.body = out.ciphertext = SpanOf(whole, *payload);
  out.tag = SpanOf(whole, *signature);
  return out;
}

// The first Sign1 in `item`, looked for in arrays and in byte strings that hold CBOR. The reader's own limits
// on depth hold per level; this recursion has its own.
std::optional<CoseRegions> FindSign1(std::string_view whole, ByteView item, size_t depth) {
  if (depth > 8) return std::nullopt;
  if (auto found = Sign1At(whole, item); found.has_value()) return found;
  CborReader in(item, kLenient);
  SkipTags(in);
  const auto type = in.Peek();
  if (!type.ok()) return std::nullopt;
  if (*type == CborType::kBytes) {
    const auto inner = in.ReadBytes();
    if (!inner.ok() || inner->empty()) return std::nullopt;
    auto found = FindSign1(whole, *inner, depth + 1);
    if (found.has_value()) found->wrappers.insert(found->wrappers.begin(), SpanOf(whole, *inner));
    return found;
  }
  if (*type != CborType::kArray) return std::nullopt;
  const auto items = in.ReadArray();
  if (!items.ok()) return std::nullopt;
  for (size_t i = 0; i < *items; ++i) {
    const auto next = in.ReadItem();
    if (!next.ok()) return std::nullopt;
    if (auto found = FindSign1(whole, *next, depth + 1); found.has_value()) return found;
  }
  return std::nullopt;
}

std::optional<CoseRegions> LocatePair(std::string_view cose) {
  CborReader in(AsBytes(cose), kLenient);
  if (!in.ReadArrayOf(2).ok()) return std::nullopt;
  const auto kind = in.ReadText();
  if (!kind.ok()) return std::nullopt;
  const auto body = in.ReadItem();
  if (!body.ok() || !in.Finish().ok()) return std::nullopt;
  auto out = FindSign1(cose, *body, 0);
  if (out.has_value() && !out->kid.has_value()) out->kid = SpanOf(cose, AsBytes(*kind));
  return out;
}

const std::optional<Span>& RegionOf(const CoseRegions& regions, v1::AttackTarget target) {
  static const std::optional<Span> kNone;
  switch (target) {
    case v1::TARGET_COSE_PROTECTED:
      return regions.protected_header;
    case v1::TARGET_COSE_KID:
      return regions.kid;
    case v1::TARGET_COSE_PARTIAL_IV:
      return regions.partial_iv;
    case v1::TARGET_COSE_CIPHERTEXT:
      return regions.ciphertext;
    case v1::TARGET_COSE_TAG:
      return regions.tag;
    default:
      return kNone;
  }
}

void FlipBit(std::string& bytes, size_t begin, uint64_t bit) {
  char& byte = bytes[begin + bit / 8];
  byte = static_cast<char>(static_cast<uint8_t>(byte) ^ (1u << (bit % 8)));
}

size_t BstrHeadSize(size_t content) { return EncodeBstr(std::string(content, 'x')).size() - content; }

// `content` is the content of a byte string with a shortest head; both are replaced. Nothing when the head is
// not of the shortest form (then we would change more than we mean to).
std::optional<std::string> ReplaceOne(std::string_view cose, Span content, std::string_view by) {
  const size_t head = BstrHeadSize(content.size);
  if (content.begin < head) return std::nullopt;
  const size_t begin = content.begin - head;
  if (cose.substr(begin, head + content.size) != EncodeBstr(cose.substr(content.begin, content.size))) {
    return std::nullopt;
  }
  std::string out(cose.substr(0, begin));
  out += EncodeBstr(by);
  out += cose.substr(content.begin + content.size);
  return out;
}

// The same inside byte strings, whose heads are rewritten from the inside out.
std::optional<std::string> ReplaceBstr(std::string_view cose, Span content, std::string_view by,
                                       const std::vector<Span>& wrappers) {
  std::string replacement(by);
  for (auto outer = wrappers.rbegin(); outer != wrappers.rend(); ++outer) {
    const Span local = {content.begin - outer->begin, content.size};
    auto replaced = ReplaceOne(cose.substr(outer->begin, outer->size), local, replacement);
    if (!replaced.has_value()) return std::nullopt;
    replacement = *std::move(replaced);
    content = *outer;
  }
  return ReplaceOne(cose, content, replacement);
}

std::string MinimalBigEndian(uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) {
    const auto byte = static_cast<uint8_t>(value >> shift);
    if (byte != 0 || !out.empty() || shift == 0) out.push_back(static_cast<char>(byte));
  }
  return out;
}

std::optional<std::string> ModifyPartialIv(std::string_view cose, Span region, RandomSource& random) {
  uint64_t value = 0;
  if (region.size > 8) return std::nullopt;
  for (const char c : cose.substr(region.begin, region.size)) value = value << 8 | static_cast<uint8_t>(c);
  // Any of the low 20 bits, so that the number grows or shrinks in length as well.
  value ^= uint64_t{1} << Below(random, 20);
  return ReplaceOne(cose, region, MinimalBigEndian(value));
}

}  // namespace

uint64_t Below(RandomSource& random, uint64_t bound) {
  std::array<uint8_t, 8> bytes{};
  random.Fill(bytes);
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return value % bound;
}

std::string EncodeBstr(std::string_view content) {
  cose::CborWriter writer;
  writer.Bstr(AsBytes(content));
  return ToString(writer.bytes());
}

bool IsCbor(std::string_view bytes) {
  CborReader in(AsBytes(bytes), kLenient);
  return in.ReadItem().ok() && in.Finish().ok();
}

std::optional<CoseRegions> LocateRegions(std::string_view cose) {
  if (auto encrypt0 = LocateEncrypt0(cose); encrypt0.has_value()) return encrypt0;
  if (auto bare = Sign1At(cose, AsBytes(cose)); bare.has_value()) return bare;
  return LocatePair(cose);
}

std::optional<std::string> ModifyRegion(std::string_view cose, v1::AttackTarget target,
                                        RandomSource& random) {
  const auto regions = LocateRegions(cose);
  if (!regions.has_value()) return std::nullopt;
  const std::optional<Span>& region = RegionOf(*regions, target);
  if (!region.has_value() || region->size == 0) return std::nullopt;
  if (target == v1::TARGET_COSE_PARTIAL_IV) return ModifyPartialIv(cose, *region, random);
  std::string out(cose);
  const uint64_t bits = region->size * 8;
  const uint64_t start = Below(random, bits);
  if (target == v1::TARGET_COSE_KID && regions->is_sign1) {
    // The kind is text: the lowest bit of a letter keeps it text.
    FlipBit(out, region->begin, start / 8 * 8);
    return out;
  }
  if (target != v1::TARGET_COSE_PROTECTED) {
    FlipBit(out, region->begin, start);
    return out;
  }
  for (uint64_t i = 0; i < bits; ++i) {
    FlipBit(out, region->begin, (start + i) % bits);
    if (IsCbor(std::string_view(out).substr(region->begin, region->size))) return out;
    FlipBit(out, region->begin, (start + i) % bits);
  }
  return std::nullopt;
}

std::optional<std::string> ShortenRegion(std::string_view cose, v1::AttackTarget target,
                                         RandomSource& random) {
  const auto regions = LocateRegions(cose);
  if (!regions.has_value() || !regions->body.has_value()) return std::nullopt;
  if (target == v1::TARGET_COSE_TAG) {
    const std::optional<Span>& region = regions->is_sign1 ? regions->tag : regions->body;
    if (!region.has_value() || region->size == 0) return std::nullopt;
    const size_t most = std::min<size_t>(region->size, crypto::kAeadTagBytes);
    const size_t kept = region->size - 1 - Below(random, most);
    return ReplaceBstr(cose, *region, cose.substr(region->begin, kept), regions->wrappers);
  }
  if (target != v1::TARGET_COSE_CIPHERTEXT || !regions->ciphertext.has_value()) return std::nullopt;
  const Span text = *regions->ciphertext;
  if (text.size == 0) return std::nullopt;
  const size_t kept = Below(random, text.size);
  std::string shorter(cose.substr(text.begin, kept));
  if (!regions->is_sign1) shorter += cose.substr(regions->tag->begin, regions->tag->size);
  return ReplaceBstr(cose, *regions->body, shorter, regions->wrappers);
}

}  // namespace keystead::infra
