#include "infra-sim/field_attacks.h"

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "infra-sim/attacks.h"
#include "infra-sim/cose_regions.h"
#include "infra-sim/group_view.h"

namespace keystead::infra {
namespace {

std::string FlipInId(const std::string& id, RandomSource& random) {
  std::string out = id;
  const uint64_t bit = Below(random, id.size() * 8);
  out[bit / 8] = static_cast<char>(static_cast<uint8_t>(out[bit / 8]) ^ (1u << (bit % 8)));
  return out;
}

// Another letter or digit in place of one, among those at `begin` and after.
std::string OtherCharacter(const std::string& text, size_t begin, size_t end, std::string_view alphabet,
                           RandomSource& random) {
  std::string out = text;
  const size_t at = begin + Below(random, end - begin);
  const size_t found = alphabet.find(out[at]);
  const size_t step = 1 + Below(random, alphabet.size() - 1);
  out[at] = alphabet[((found == std::string_view::npos ? 0 : found) + step) % alphabet.size()];
  return out;
}

std::string OtherTopic(const std::string& topic, RandomSource& random) {
  const size_t slash = topic.find('/');
  if (slash == std::string::npos || topic.size() < slash + 33) {
    return OtherCharacter(topic, 0, topic.size(), "abcdefghijklmnopqrstuvwxyz", random);
  }
  return OtherCharacter(topic, slash + 1, slash + 33, "0123456789abcdef", random);
}

const std::string& FieldOf(const v1::StreamHeader& header, v1::AttackTarget target) {
  switch (target) {
    case v1::TARGET_TENANT:
      return header.tenant();
    case v1::TARGET_INSTANTIATION:
      return header.instantiation();
    case v1::TARGET_TOPIC:
      return header.topic();
    case v1::TARGET_SENDER:
      return header.sender();
    default:
      return header.stream();
  }
}

void SetField(v1::StreamHeader& header, v1::AttackTarget target, const std::string& value) {
  switch (target) {
    case v1::TARGET_TENANT:
      header.set_tenant(value);
      break;
    case v1::TARGET_INSTANTIATION:
      header.set_instantiation(value);
      break;
    case v1::TARGET_TOPIC:
      header.set_topic(value);
      break;
    case v1::TARGET_SENDER:
      header.set_sender(value);
      break;
    default:
      header.set_stream(value);
      break;
  }
}

std::string_view NameOf(v1::AttackTarget target) {
  switch (target) {
    case v1::TARGET_TENANT:
      return "tenant";
    case v1::TARGET_INSTANTIATION:
      return "instantiation";
    case v1::TARGET_TOPIC:
      return "topic";
    case v1::TARGET_SENDER:
      return "sender";
    default:
      return "stream";
  }
}

bool IsText(v1::AttackTarget target) { return target == v1::TARGET_TENANT || target == v1::TARGET_TOPIC; }

std::string Describe(v1::AttackTarget target, const std::string& now, const std::string& was) {
  const auto show = [&](const std::string& v) { return IsText(target) ? v : ToHex(AsBytes(v)); };
  return absl::StrCat(Absl(NameOf(target)), " ", show(now), " instead of ", show(was));
}

bool SameStream(const v1::StreamHeader& a, const v1::StreamHeader& b) {
  return a.instantiation() == b.instantiation() && a.tenant() == b.tenant() && a.topic() == b.topic() &&
         a.sender() == b.sender() && a.epoch() == b.epoch() && a.stream() == b.stream();
}

// Whether a remembered group can lend the field `target` to a record of `own`.
bool Lends(const v1::SealedGroup& donor, const v1::StreamHeader& own, uint64_t sequence,
           v1::AttackTarget target) {
  const v1::StreamHeader& other = donor.header();
  if (IsPseudoTopic(other.topic()) != IsPseudoTopic(own.topic())) return false;
  const bool same_home = other.tenant() == own.tenant() && other.instantiation() == own.instantiation();
  switch (target) {
    case v1::TARGET_UNSPECIFIED:
      return !SameStream(other, own);
    case v1::TARGET_TENANT:
      return other.tenant() != own.tenant();
    case v1::TARGET_INSTANTIATION:
      return other.tenant() == own.tenant() && other.instantiation() != own.instantiation();
    case v1::TARGET_EPOCH:
      return same_home && other.topic() == own.topic() && other.epoch() != own.epoch();
    case v1::TARGET_SEQUENCE:
      return SameStream(other, own) && donor.records(0).sequence() != sequence;
    default:
      return same_home && FieldOf(other, target) != FieldOf(own, target);
  }
}

}  // namespace

bool IsPseudoTopic(std::string_view topic) {
  return topic == kRegistryTopic || topic == kRendezvousTopic || topic == kEnrollmentRequestTopic ||
         topic == kEnrollmentChainTopic || topic == kRevocationTopic || topic.starts_with(kTlsTopic);
}

std::string ModifyHeader(v1::StreamHeader& header, v1::AttackTarget target, RandomSource& random) {
  if (target == v1::TARGET_EPOCH) {
    const uint64_t was = header.epoch();
    header.set_epoch(was ^ uint64_t{1} << Below(random, 4));
    return absl::StrCat("epoch ", header.epoch(), " instead of ", was);
  }
  if (target < v1::TARGET_TENANT || target > v1::TARGET_STREAM) return "";
  const std::string was = FieldOf(header, target);
  if (was.empty()) return "";
  std::string now;
  if (target == v1::TARGET_TENANT) {
    const size_t label = std::min(was.find('.'), was.size());
    now = OtherCharacter(was, 0, std::max<size_t>(label, 1), "abcdefghijklmnopqrstuvwxyz", random);
  } else if (target == v1::TARGET_TOPIC) {
    now = OtherTopic(was, random);
  } else {
    now = FlipInId(was, random);
  }
  SetField(header, target, now);
  return Describe(target, now, was);
}

std::optional<Place> PlaceFor(const v1::StreamHeader& header, uint64_t sequence, v1::AttackTarget target,
                              RandomSource& random, const GroupMemory& memory) {
  const auto lends = [&](const v1::SealedGroup& donor) { return Lends(donor, header, sequence, target); };
  const auto bytes = memory.Pick(lends, random);
  if (bytes == nullptr) return std::nullopt;
  const auto donor = ParseGroup(*bytes);
  if (!donor.has_value()) return std::nullopt;
  const v1::StreamHeader& other = donor->header();
  const uint64_t there = donor->records(static_cast<int>(Below(random, donor->records_size()))).sequence();
  Place place = {header, sequence, ""};
  switch (target) {
    case v1::TARGET_UNSPECIFIED:
    case v1::TARGET_TENANT:
    case v1::TARGET_INSTANTIATION:
      place.header = other;
      place.sequence = there;
      place.detail =
          absl::StrCat("at ", other.tenant(), " ", ToHex(AsBytes(other.instantiation())), " ", other.topic(),
                       " stream ", ToHex(AsBytes(other.stream())), " sequence ", there);
      return place;
    case v1::TARGET_EPOCH:
      place.header.set_epoch(other.epoch());
      place.detail = absl::StrCat("epoch ", other.epoch(), " instead of ", header.epoch());
      return place;
    case v1::TARGET_SEQUENCE:
      place.sequence = donor->records(0).sequence();
      place.detail = absl::StrCat("sequence ", place.sequence, " instead of ", sequence);
      return place;
    default:
      SetField(place.header, target, FieldOf(other, target));
      place.detail = Describe(target, FieldOf(other, target), FieldOf(header, target));
      return place;
  }
}

}  // namespace keystead::infra
