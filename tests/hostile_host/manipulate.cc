#include "tests/hostile_host/manipulate.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "infra-sim/cose_regions.h"
#include "keystead/v1/records.pb.h"

namespace keystead::hostile_host {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<std::string_view, Deed>, 6> kDeeds = {{{"edit", Deed::kEdit},
                                                                      {"swap", Deed::kSwap},
                                                                      {"delete", Deed::kDelete},
                                                                      {"damage", Deed::kDamage},
                                                                      {"move", Deed::kMove},
                                                                      {"remove", Deed::kRemove}}};
constexpr std::array<std::pair<std::string_view, v1::AttackTarget>, 5> kRegions = {
    {{"cose_protected", v1::TARGET_COSE_PROTECTED},
     {"cose_kid", v1::TARGET_COSE_KID},
     {"cose_partial_iv", v1::TARGET_COSE_PARTIAL_IV},
     {"cose_ciphertext", v1::TARGET_COSE_CIPHERTEXT},
     {"cose_tag", v1::TARGET_COSE_TAG}}};

std::string DigestOf(std::string_view bytes) { return ToHex(crypto::Sha256(AsBytes(bytes)).view()); }

std::string_view NameOf(Deed deed) {
  for (const auto& [name, value] : kDeeds)
    if (value == deed) return name;
  return "";
}

json Standing(const Place& place) {
  return {{"tenant", place.log.tenant}, {"log", place.log.log}, {"offset", place.offset}};
}

json Standing(const Place& place, const v1::StreamHeader& header, uint64_t sequence) {
  json out = Standing(place);
  out["tenant_name"] = header.tenant();
  out["instantiation"] = ToHex(AsBytes(header.instantiation()));
  out["topic"] = header.topic();
  out["sender"] = ToHex(AsBytes(header.sender()));
  out["epoch"] = header.epoch();
  out["stream"] = ToHex(AsBytes(header.stream()));
  out["sequence"] = sequence;
  return out;
}

absl::StatusOr<v1::SealedGroup> Parsed(const StoredGroup& stored) {
  v1::SealedGroup group;
  if (!stored.group.has_value())
    return absl::InvalidArgumentError("the group does not open at rest: give the provider's --keystore");
  if (!group.ParseFromString(*stored.group))
    return absl::InvalidArgumentError("what stands there is no group of records");
  return group;
}

absl::StatusOr<v1::SealedRecord*> RecordAt(v1::SealedGroup& group, uint64_t sequence) {
  for (v1::SealedRecord& record : *group.mutable_records())
    if (record.sequence() == sequence) return &record;
  return absl::InvalidArgumentError(absl::StrCat("the group holds no record of sequence ", sequence));
}

std::string Line(const Order& order, json standing, std::string_view before, std::string_view after) {
  standing["do"] = NameOf(order.deed);
  if (!order.region.empty()) standing["region"] = order.region;
  standing["sha256_before"] = DigestOf(before);
  standing["sha256_after"] = after.empty() ? "" : DigestOf(after);
  return standing.dump();
}

// Every record of a group that is another now, or the group itself where the host cannot see into it.
std::vector<std::string> Lines(const Order& order, const StoredGroup& was, std::string_view now) {
  const absl::StatusOr<v1::SealedGroup> group = Parsed(was);
  if (!group.ok()) return {Line(order, Standing(was.place), was.stored, now)};
  std::vector<std::string> out;
  for (const v1::SealedRecord& record : group->records())
    out.push_back(Line(order, Standing(was.place, group->header(), record.sequence()), record.cose(), now));
  return out;
}

absl::StatusOr<std::vector<std::string>> Edit(ProviderStore& store, const Order& order,
                                              RandomSource& random) {
  v1::AttackTarget target = v1::TARGET_UNSPECIFIED;
  for (const auto& [name, value] : kRegions)
    if (name == order.region) target = value;
  if (target == v1::TARGET_UNSPECIFIED)
    return absl::InvalidArgumentError(absl::StrCat("a COSE object has no region '", order.region, "'"));
  KS_ASSIGN_OR_RETURN(const StoredGroup was, store.Read(order.at.group));
  KS_ASSIGN_OR_RETURN(v1::SealedGroup group, Parsed(was));
  KS_ASSIGN_OR_RETURN(v1::SealedRecord* const record, RecordAt(group, order.at.sequence));
  const std::optional<std::string> cose = infra::ModifyRegion(record->cose(), target, random);
  if (!cose.has_value())
    return absl::InvalidArgumentError(absl::StrCat("this record has no ", order.region, " to edit"));
  const std::string before = std::exchange(*record->mutable_cose(), *cose);
  KS_RETURN_IF_ERROR(store.PutGroup(was.place, group.SerializeAsString()));
  return std::vector{Line(order, Standing(was.place, group.header(), order.at.sequence), before, *cose)};
}

absl::StatusOr<std::vector<std::string>> Swap(ProviderStore& store, const Order& order) {
  if (order.at.group == order.with.group)
    return absl::InvalidArgumentError("swapped are records of two groups");
  KS_ASSIGN_OR_RETURN(const StoredGroup first, store.Read(order.at.group));
  KS_ASSIGN_OR_RETURN(const StoredGroup second, store.Read(order.with.group));
  KS_ASSIGN_OR_RETURN(v1::SealedGroup one, Parsed(first));
  KS_ASSIGN_OR_RETURN(v1::SealedGroup other, Parsed(second));
  KS_ASSIGN_OR_RETURN(v1::SealedRecord* const here, RecordAt(one, order.at.sequence));
  KS_ASSIGN_OR_RETURN(v1::SealedRecord* const there, RecordAt(other, order.with.sequence));
  if (here->cose() == there->cose()) return absl::InvalidArgumentError("both records are the same");
  std::swap(*here->mutable_cose(), *there->mutable_cose());
  KS_RETURN_IF_ERROR(store.PutGroup(first.place, one.SerializeAsString()));
  KS_RETURN_IF_ERROR(store.PutGroup(second.place, other.SerializeAsString()));
  return std::vector{
      Line(order, Standing(first.place, one.header(), order.at.sequence), there->cose(), here->cose()),
      Line(order, Standing(second.place, other.header(), order.with.sequence), here->cose(), there->cose())};
}

absl::StatusOr<std::vector<std::string>> Delete(ProviderStore& store, const Order& order) {
  if (order.at.group.log != order.with.group.log || order.at.group == order.with.group)
    return absl::InvalidArgumentError("what is copied over a deleted group is another one of the same log");
  KS_ASSIGN_OR_RETURN(const StoredGroup was, store.Read(order.at.group));
  KS_ASSIGN_OR_RETURN(const StoredGroup copied, store.Read(order.with.group));
  KS_RETURN_IF_ERROR(Parsed(was).status());
  KS_RETURN_IF_ERROR(Parsed(copied).status());
  KS_RETURN_IF_ERROR(store.PutGroup(was.place, *copied.group));
  return Lines(order, was, "");
}

absl::StatusOr<std::vector<std::string>> Damage(ProviderStore& store, const Order& order,
                                                RandomSource& random) {
  KS_ASSIGN_OR_RETURN(const StoredGroup was, store.Read(order.at.group));
  std::string now = was.stored;
  const uint64_t bit = infra::Below(random, now.size() * 8);
  now[bit / 8] = static_cast<char>(now[bit / 8] ^ (1 << (bit % 8)));
  KS_RETURN_IF_ERROR(store.PutStored(was.place, now));
  return Lines(order, was, now);
}

absl::StatusOr<std::vector<std::string>> Move(ProviderStore& store, const Order& order) {
  if (order.at.group == order.with.group) return absl::InvalidArgumentError("moved are two groups");
  KS_ASSIGN_OR_RETURN(const StoredGroup first, store.Read(order.at.group));
  KS_ASSIGN_OR_RETURN(const StoredGroup second, store.Read(order.with.group));
  KS_RETURN_IF_ERROR(store.PutStored(first.place, second.stored));
  KS_RETURN_IF_ERROR(store.PutStored(second.place, first.stored));
  std::vector<std::string> out = Lines(order, first, second.stored);
  for (std::string& line : Lines(order, second, first.stored)) out.push_back(std::move(line));
  return out;
}

}  // namespace

absl::StatusOr<Deed> DeedOf(std::string_view name) {
  for (const auto& [known, deed] : kDeeds)
    if (known == name) return deed;
  return absl::InvalidArgumentError(
      absl::StrCat("a host does not '", Absl(name), "': it does edit, swap, delete, damage, move, remove"));
}

absl::StatusOr<std::vector<std::string>> Do(ProviderStore& store, const Order& order, RandomSource& random) {
  switch (order.deed) {
    case Deed::kEdit:
      return Edit(store, order, random);
    case Deed::kSwap:
      return Swap(store, order);
    case Deed::kDelete:
      return Delete(store, order);
    case Deed::kDamage:
      return Damage(store, order, random);
    case Deed::kMove:
      return Move(store, order);
    case Deed::kRemove:
      break;
  }
  KS_ASSIGN_OR_RETURN(const StoredGroup was, store.Read(order.at.group));
  KS_RETURN_IF_ERROR(store.Remove(was.place));
  return Lines(order, was, "");
}

std::vector<std::string> Describe(const StoredGroup& stored) {
  const absl::StatusOr<v1::SealedGroup> group = Parsed(stored);
  json base = Standing(stored.place);
  base["trimmed"] = stored.trimmed;
  if (!group.ok()) {
    base["opens_at_rest"] = false;
    base["stored_sha256"] = DigestOf(stored.stored);
    return {base.dump()};
  }
  std::vector<std::string> out;
  for (const v1::SealedRecord& record : group->records()) {
    json line = Standing(stored.place, group->header(), record.sequence());
    line["trimmed"] = stored.trimmed;
    line["opens_at_rest"] = true;
    line["sha256"] = DigestOf(record.cose());
    line["bytes"] = record.cose().size();
    out.push_back(line.dump());
  }
  return out;
}

}  // namespace keystead::hostile_host
