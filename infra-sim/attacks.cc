#include "infra-sim/attacks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/crypto/hash.h"
#include "infra-sim/cose_regions.h"
#include "infra-sim/field_attacks.h"
#include "infra-sim/forge.h"
#include "infra-sim/group_view.h"

namespace keystead::infra {
namespace {

struct Victims {
  int begin = 0;
  int end = 0;
};

// One group under attack.
class Attacker {
 public:
  Attacker(v1::SealedGroup group, std::string_view bytes, const v1::ArmRequest& attack, uint64_t budget,
           RandomSource& random, const GroupMemory& memory)
      : group_(std::move(group)),
        bytes_(bytes),
        attack_(attack),
        budget_(budget),
        random_(random),
        memory_(memory) {
    const auto total = static_cast<uint64_t>(group_.records_size());
    const uint64_t count = std::min(budget_, total);
    const uint64_t begin = count < total ? Below(random_, total - count + 1) : 0;
    victims_ = {static_cast<int>(begin), static_cast<int>(begin + count)};
  }

  std::optional<Mutation> Run() {
    switch (attack_.kind()) {
      case v1::ATTACK_READ:
      case v1::ATTACK_DELAY:
        return Pass();
      case v1::ATTACK_MODIFY:
        return Modify();
      case v1::ATTACK_DROP:
      case v1::ATTACK_ACK_AND_DROP:
        return Drop();
      case v1::ATTACK_REORDER:
        return Reorder();
      case v1::ATTACK_DUPLICATE:
        return Duplicate();
      case v1::ATTACK_REPLAY:
        return Replay();
      case v1::ATTACK_SPLICE:
        return Splice();
      case v1::ATTACK_TRUNCATE:
        return Truncate();
      case v1::ATTACK_FORGE:
        return Forge();
      default:
        return std::nullopt;
    }
  }

 private:
  const v1::SealedRecord& Record(int i) const { return group_.records(i); }

  // Logs that `genuine`, of `group`, was attacked; `placed` and `injected` say what stands where instead.
  size_t Note(const v1::SealedGroup& group, const v1::SealedRecord& genuine, const v1::StreamHeader* placed,
              uint64_t placed_sequence, std::string_view injected, std::string detail) {
    v1::Injection& note = out_.injections.emplace_back();
    const v1::StreamHeader& header = group.header();
    note.set_kind(attack_.kind());
    note.set_target(attack_.target());
    note.set_tenant(header.tenant());
    note.set_instantiation(header.instantiation());
    note.set_topic(header.topic());
    note.set_sender(header.sender());
    note.set_epoch(header.epoch());
    note.set_stream(header.stream());
    note.set_sequence(genuine.sequence());
    note.set_original_sha256(crypto::Sha256(AsBytes(genuine.cose())).ToString());
    if (placed != nullptr) {
      note.set_injected_sha256(crypto::Sha256(AsBytes(injected)).ToString());
      *note.mutable_placed() = *placed;
      note.set_placed_sequence(placed_sequence);
    }
    note.set_detail(std::move(detail));
    return out_.injections.size() - 1;
  }
  size_t NoteInPlace(const v1::SealedRecord& genuine, std::string_view injected, std::string detail) {
    return Note(group_, genuine, &group_.header(), genuine.sequence(), injected, std::move(detail));
  }

  std::string Slice(int begin, int end) const {
    v1::SealedGroup part;
    *part.mutable_header() = group_.header();
    for (int i = begin; i < end; ++i) *part.add_records() = Record(i);
    return part.SerializeAsString();
  }
  // Untouched records; the group's own bytes when it is all of them.
  void AddGenuine(int begin, int end) {
    if (begin >= end) return;
    const bool whole = begin == 0 && end == group_.records_size();
    out_.pieces.push_back({.group = whole ? std::string(bytes_) : Slice(begin, end)});
  }
  void AddInjected(std::string group, std::vector<size_t> injections, bool extra) {
    out_.pieces.push_back({std::move(group), std::move(injections), extra});
  }

  std::optional<Mutation> Pass() {
    for (int i = victims_.begin; i < victims_.end; ++i) NoteInPlace(Record(i), Record(i).cose(), "");
    AddGenuine(0, group_.records_size());
    return std::move(out_);
  }

  std::optional<Mutation> Drop() {
    for (int i = victims_.begin; i < victims_.end; ++i) Note(group_, Record(i), nullptr, 0, "", "");
    AddGenuine(0, victims_.begin);
    AddGenuine(victims_.end, group_.records_size());
    out_.withhold_ack = attack_.kind() == v1::ATTACK_DROP;
    return std::move(out_);
  }

  std::optional<Mutation> Duplicate() {
    AddGenuine(0, group_.records_size());
    std::vector<size_t> notes;
    for (int i = victims_.begin; i < victims_.end; ++i) {
      notes.push_back(NoteInPlace(Record(i), Record(i).cose(), "the same bytes once more"));
    }
    AddInjected(Slice(victims_.begin, victims_.end), std::move(notes), true);
    return std::move(out_);
  }

  std::optional<Mutation> Modify() {
    if (attack_.target() == v1::TARGET_SEQUENCE) return ModifySequence();
    if (attack_.target() >= v1::TARGET_COSE_PROTECTED) {
      return EditCose(
          [this](std::string_view cose) { return ModifyRegion(cose, attack_.target(), random_); });
    }
    v1::SealedGroup changed;
    *changed.mutable_header() = group_.header();
    const std::string detail = ModifyHeader(*changed.mutable_header(), attack_.target(), random_);
    if (detail.empty()) return std::nullopt;
    std::vector<size_t> notes;
    for (int i = victims_.begin; i < victims_.end; ++i) {
      *changed.add_records() = Record(i);
      notes.push_back(
          Note(group_, Record(i), &changed.header(), Record(i).sequence(), Record(i).cose(), detail));
    }
    AddGenuine(0, victims_.begin);
    AddInjected(changed.SerializeAsString(), std::move(notes), false);
    AddGenuine(victims_.end, group_.records_size());
    return std::move(out_);
  }

  // Each in a group of its own: out of order inside a group it would only be malformed.
  void PlaceAlone(const v1::SealedRecord& genuine, const v1::StreamHeader& header, uint64_t sequence,
                  std::string detail) {
    const size_t note = Note(group_, genuine, &header, sequence, genuine.cose(), std::move(detail));
    AddInjected(OneRecordGroup(header, sequence, genuine.cose()), {note}, false);
  }
  std::optional<Mutation> ModifySequence() {
    AddGenuine(0, victims_.begin);
    for (int i = victims_.begin; i < victims_.end; ++i) {
      const uint64_t sequence = Record(i).sequence() ^ uint64_t { 1 } << Below(random_, 10);
      PlaceAlone(Record(i), group_.header(), sequence,
                 absl::StrCat("sequence ", sequence, " instead of ", Record(i).sequence()));
    }
    AddGenuine(victims_.end, group_.records_size());
    return std::move(out_);
  }

  template <class Edit>
  std::optional<Mutation> EditCose(const Edit& edit) {
    v1::SealedGroup changed = group_;
    std::vector<size_t> notes;
    for (int i = victims_.begin; i < victims_.end; ++i) {
      const std::optional<std::string> cose = edit(Record(i).cose());
      if (!cose.has_value()) continue;
      notes.push_back(NoteInPlace(Record(i), *cose,
                                  absl::StrCat(Record(i).cose().size(), " bytes became ", cose->size())));
      changed.mutable_records(i)->set_cose(*cose);
    }
    if (notes.empty()) return std::nullopt;
    AddInjected(changed.SerializeAsString(), std::move(notes), false);
    return std::move(out_);
  }

  std::optional<Mutation> Truncate() {
    return EditCose([this](std::string_view cose) -> std::optional<std::string> {
      if (attack_.target() != v1::TARGET_UNSPECIFIED) return ShortenRegion(cose, attack_.target(), random_);
      if (cose.empty()) return std::nullopt;
      return std::string(cose.substr(0, Below(random_, cose.size())));
    });
  }

  std::optional<Mutation> Reorder() {
    const int total = group_.records_size();
    if (total == 1) {
      const size_t note = NoteInPlace(Record(0), Record(0).cose(), "after the group that follows");
      AddInjected(std::string(bytes_), {note}, false);
      out_.hold_back = true;
      return std::move(out_);
    }
    const int first = std::min(victims_.begin, total - 2);
    AddGenuine(0, first);
    AddGenuine(first + 1, first + 2);
    const size_t note = NoteInPlace(Record(first), Record(first).cose(),
                                    absl::StrCat("after sequence ", Record(first + 1).sequence()));
    AddInjected(Slice(first, first + 1), {note}, false);
    AddGenuine(first + 2, total);
    return std::move(out_);
  }

  std::optional<Mutation> Replay() {
    const auto old_bytes = memory_.Pick(
        [&](const v1::SealedGroup& old) {
          return Fits(attack_, old.header()) && old.SerializeAsString() != bytes_;
        },
        random_);
    if (old_bytes == nullptr) return std::nullopt;
    auto old = ParseGroup(*old_bytes);
    if (!old.has_value()) return std::nullopt;
    const int count =
        static_cast<int>(std::min<uint64_t>(budget_, static_cast<uint64_t>(old->records_size())));
    old->mutable_records()->DeleteSubrange(count, old->records_size() - count);
    AddGenuine(0, group_.records_size());
    std::vector<size_t> notes;
    for (const v1::SealedRecord& record : old->records()) {
      notes.push_back(
          Note(*old, record, &old->header(), record.sequence(), record.cose(), "an old record again"));
    }
    AddInjected(old->SerializeAsString(), std::move(notes), true);
    return std::move(out_);
  }

  std::optional<Mutation> Splice() {
    AddGenuine(0, victims_.begin);
    for (int i = victims_.begin; i < victims_.end; ++i) {
      const auto place = PlaceFor(group_.header(), Record(i).sequence(), attack_.target(), random_, memory_);
      if (!place.has_value()) return std::nullopt;
      PlaceAlone(Record(i), place->header, place->sequence, place->detail);
    }
    AddGenuine(victims_.end, group_.records_size());
    return std::move(out_);
  }

  std::optional<Mutation> Forge() {
    const auto key = crypto::EcdsaKeyPair::Generate();
    if (!key.ok()) return std::nullopt;
    AddGenuine(0, group_.records_size());
    const v1::SealedRecord& last = Record(group_.records_size() - 1);
    for (int i = victims_.begin; i < victims_.end; ++i) {
      v1::StreamHeader header = group_.header();
      const auto offset = static_cast<uint64_t>(i - victims_.begin);
      uint64_t sequence = last.sequence() + 1 + offset;
      if (attack_.target() == v1::TARGET_SEQUENCE) sequence = Record(i).sequence();
      if (attack_.target() == v1::TARGET_STREAM) {
        header.set_stream(random_.NewId<StreamId>().ToString());
        sequence = 0;
      }
      const auto regions = LocateRegions(Record(i).cose());
      const bool sign1 =
          attack_.target() == v1::TARGET_COSE_PROTECTED || (regions.has_value() && regions->is_sign1);
      const Forged forged = sign1 ? ForgeSign1(Record(i).cose(), header, sequence, *key)
                                  : ForgeEncrypt0(Record(i).cose(), sequence, random_);
      if (forged.cose.empty()) return std::nullopt;
      const size_t note = Note(group_, Record(i), &header, sequence, forged.cose, forged.how);
      AddInjected(OneRecordGroup(header, sequence, forged.cose), {note}, true);
    }
    return std::move(out_);
  }

  const v1::SealedGroup group_;
  const std::string_view bytes_;
  const v1::ArmRequest& attack_;
  const uint64_t budget_;
  RandomSource& random_;
  const GroupMemory& memory_;
  Victims victims_;
  Mutation out_;
};

}  // namespace

std::optional<Mutation> Mutate(std::string_view group, const v1::ArmRequest& attack, uint64_t budget,
                               RandomSource& random, const GroupMemory& memory) {
  auto parsed = ParseGroup(group);
  if (!parsed.has_value() || parsed->records_size() == 0 || budget == 0) return std::nullopt;
  if (!Fits(attack, parsed->header())) return std::nullopt;
  return Attacker(*std::move(parsed), group, attack, budget, random, memory).Run();
}

}  // namespace keystead::infra
