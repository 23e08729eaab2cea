#include "infra-sim/tls_attacks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/crypto/hash.h"
#include "infra-sim/attacks.h"
#include "infra-sim/cose_regions.h"

namespace keystead::infra {
namespace {

constexpr size_t kRemembered = 64;

uint8_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

std::string Describe(std::string_view record) { return absl::StrCat(record.size(), " bytes"); }

// Another remembered record; nothing when there is only this one.
std::optional<std::string> Another(std::string_view record, RandomSource& random, const TlsMemory& memory) {
  std::vector<std::string_view> others;
  for (const std::string& other : memory.records()) {
    if (other != record) others.push_back(other);
  }
  if (others.empty()) return std::nullopt;
  return std::string(others[Below(random, others.size())]);
}

// Fills `out` for the kinds that send something else instead of the record or beside it.
bool Alter(std::string_view record, const v1::ArmRequest& attack, RandomSource& random,
           const TlsMemory& memory, TlsMutation& out) {
  std::string altered(record);
  switch (attack.kind()) {
    case v1::ATTACK_MODIFY: {
      const uint64_t bit = Below(random, (record.size() - kTlsHeaderBytes) * 8);
      char& byte = altered[kTlsHeaderBytes + bit / 8];
      byte = static_cast<char>(static_cast<uint8_t>(byte) ^ (1u << (bit % 8)));
      out.records = {altered};
      return true;
    }
    case v1::ATTACK_FORGE: {
      Bytes payload(record.size() - kTlsHeaderBytes);
      random.Fill(payload);
      altered.replace(kTlsHeaderBytes, payload.size(), AsChars(payload));
      out.records = {altered};
      return true;
    }
    case v1::ATTACK_TRUNCATE:
      out.records = {altered.substr(0, altered.size() / 2)};
      out.close = true;
      return true;
    case v1::ATTACK_REPLAY:
    case v1::ATTACK_SPLICE: {
      const auto other = Another(record, random, memory);
      if (!other.has_value()) return false;
      out.records = {*other};
      if (attack.kind() == v1::ATTACK_REPLAY) out.records.insert(out.records.begin(), altered);
      return true;
    }
    case v1::ATTACK_DUPLICATE:
      out.records = {altered, altered};
      return true;
    default:
      return false;
  }
}

}  // namespace

std::vector<std::string> TlsRecordSplitter::Feed(std::string_view bytes) {
  std::vector<std::string> out;
  pending_.append(bytes);
  size_t at = 0;
  while (is_tls_ && pending_.size() - at >= kTlsHeaderBytes) {
    const std::string_view rest = std::string_view(pending_).substr(at);
    const size_t size = kTlsHeaderBytes + (size_t{ByteAt(rest, 3)} << 8 | ByteAt(rest, 4));
    if (ByteAt(rest, 0) < 20 || ByteAt(rest, 0) > 24 || ByteAt(rest, 1) != 3 || size > kMaxTlsRecordBytes) {
      is_tls_ = false;
      break;
    }
    if (rest.size() < size) break;
    out.emplace_back(rest.substr(0, size));
    at += size;
  }
  pending_.erase(0, at);
  if (!is_tls_ && !pending_.empty()) out.push_back(TakeRest());
  return out;
}

std::string TlsRecordSplitter::TakeRest() { return std::exchange(pending_, {}); }

void TlsMemory::Remember(std::string_view record) {
  if (record.empty() || ByteAt(record, 0) != kTlsApplicationData) return;
  records_.emplace_back(record);
  if (records_.size() > kRemembered) records_.pop_front();
}

std::optional<TlsMutation> MutateTls(std::string_view record, const v1::ArmRequest& attack,
                                     RandomSource& random, const TlsMemory& memory) {
  if (record.size() <= kTlsHeaderBytes || ByteAt(record, 0) != kTlsApplicationData) return std::nullopt;
  TlsMutation out;
  std::string detail = Describe(record);
  switch (attack.kind()) {
    case v1::ATTACK_READ:
    case v1::ATTACK_DELAY:
    case v1::ATTACK_REORDER:
      out.records = {std::string(record)};
      out.hold_back = attack.kind() == v1::ATTACK_REORDER;
      if (attack.kind() == v1::ATTACK_DELAY) out.delay = absl::Milliseconds(attack.delay_ms());
      break;
    case v1::ATTACK_DROP:
      break;
    case v1::ATTACK_ACK_AND_DROP:
      out.black_hole = true;
      detail += ", and all that follow";
      break;
    default:
      if (!Alter(record, attack, random, memory, out)) return std::nullopt;
  }
  v1::Injection& note = out.injection;
  note.set_kind(attack.kind());
  note.set_target(attack.target());
  note.set_topic(std::string(kTlsTopic));
  note.set_original_sha256(crypto::Sha256(AsBytes(record)).ToString());
  if (!out.records.empty()) {
    note.set_injected_sha256(crypto::Sha256(AsBytes(out.records.back())).ToString());
  }
  note.set_detail(std::move(detail));
  return out;
}

}  // namespace keystead::infra
