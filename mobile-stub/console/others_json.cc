#include "mobile-stub/console/others_json.h"

#include <algorithm>
#include <map>

#include "core/cose/encrypt0.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"
#include "core/transport/group_view.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr size_t kMaxShown = 16 << 10;  // of one object; how large it is, is said
constexpr size_t kMaxCopies = 16;       // of one holder
// What a holder says is a stranger's: so much of it is shown, however much there is.
constexpr size_t kMaxText = 256;
constexpr size_t kMaxFlows = 64;  // of relays: listener and direction

json BytesJson(std::string_view bytes) {
  return {{"bytes", ToHex(AsBytes(bytes.substr(0, kMaxShown)))},
          {"size", bytes.size()},
          {"sha256", crypto::Sha256(AsBytes(bytes)).ToHex()}};
}

json HeaderJson(const GroupHeader& header, uint64_t sequence) {
  return {{"tenant", header.tenant.str()}, {"instantiation", header.instantiation.ToHex()},
          {"topic", header.topic.str()},   {"sender", header.sender.ToHex()},
          {"epoch", header.epoch},         {"stream", header.stream.ToHex()},
          {"sequence", sequence}};
}

// Where and when, which all copies out of one group share.
json CopyJson(const v1::HeldGroup& held, const char* form, std::string_view shown) {
  json out = BytesJson(shown);
  out["form"] = form;
  out["header"] = nullptr;
  out["group_size"] = held.group().size();
  out["listener"] = held.listener().substr(0, kMaxText);
  out["direction"] = held.direction().substr(0, kMaxText);
  out["log_id"] = ToHex(AsBytes(held.log_id()).first(std::min(held.log_id().size(), LogId::kSize)));
  out["offset"] = held.offset();
  out["not_before_us"] = held.not_before_us();
  out["not_after_us"] = held.not_after_us();
  out["attack"] = held.attack();
  return out;
}

class Copies {
 public:
  Copies(v1::HolderKind holder, uint64_t sequence) : holder_(holder), sequence_(sequence) {}

  bool full() const { return out_.size() >= kMaxCopies; }
  void Take(const v1::HeldGroup& held) {
    const bool stored_apart = holder_ == v1::HOLDER_BACKEND;
    if (stored_apart) Put(CopyJson(held, "disk", held.stored()));
    Records(held, held.group(),
            stored_apart                    ? "keystore"
            : holder_ == v1::HOLDER_GATEWAY ? "disk"
                                            : "passed");
    if (held.attack() == 0) return;
    // As it went on: whatever is in there now, since the place may be what was changed.
    for (const std::string& sent : held.sent()) {
      if (full()) return;
      Records(held, sent, "sent", /*all=*/true);
    }
    if (held.sent().empty()) Put(CopyJson(held, "withheld", {}));
  }
  json Done() { return std::move(out_); }

 private:
  void Put(json copy) {
    if (!full()) out_.push_back(std::move(copy));
  }
  void Records(const v1::HeldGroup& held, std::string_view group, const char* form, bool all = false) {
    GroupHeaderCache headers;
    const auto view = GroupView::Parse(group, headers);
    if (!view.ok()) {  // an attack may have made it so; what came in is then shown as a whole
      if (!group.empty()) Put(CopyJson(held, form, group));
      return;
    }
    for (const RecordView& record : view->records()) {
      if (record.sequence != sequence_ && !all) continue;
      if (full()) return;
      json copy = CopyJson(held, form, AsChars(record.cose));
      copy["header"] = HeaderJson(view->header(), record.sequence);
      Put(std::move(copy));
    }
  }

  const v1::HolderKind holder_;
  const uint64_t sequence_;
  json out_ = json::array();
};

// Whether it is a record of readings that nobody sealed: its content stands where the ciphertext would.
bool IsPlainReading(const RecordView& record) {
  const auto object = cose::ParseEncrypt0(record.cose);
  if (!object.ok() || object->ciphertext.size() < crypto::kAeadTagBytes) return false;
  const auto content =
      ParseContent(object->ciphertext.first(object->ciphertext.size() - crypto::kAeadTagBytes));
  return content.ok() && content->kind == kinds::kReadings;
}

struct Shown {
  const v1::HeldGroup* group = nullptr;
  uint64_t sequence = 0;
};

// The one record of a control that is shown beside: a control has as many topics as devices, and one picture
// is enough. The newest reading of the last topic that has one, since openings and checkpoints show nothing
// of what was measured; where none has, the last record of all. There must be a group.
Shown ShownOfControl(const v1::HeldResponse& held) {
  Shown newest = {&held.groups(held.groups_size() - 1)};
  for (int i = held.groups_size() - 1; i >= 0; --i) {
    const v1::HeldGroup& group = held.groups(i);
    GroupHeaderCache headers;
    const auto view = GroupView::Parse(group.group(), headers);
    if (!view.ok()) continue;
    const auto& records = view->records();
    const auto reading = std::find_if(records.rbegin(), records.rend(), IsPlainReading);
    if (reading != records.rend()) return {&group, reading->sequence};
    if (&group == newest.group) newest.sequence = view->last_sequence();
  }
  return newest;
}

json CopiesOf(const v1::HeldResponse& held, bool control, uint64_t asked) {
  if (control && held.groups_size() > 0) {
    const Shown shown = ShownOfControl(held);
    Copies copies(held.holder(), shown.sequence);
    copies.Take(*shown.group);
    return copies.Done();
  }
  Copies copies(held.holder(), asked);
  for (int i = 0; i < held.groups_size() && !copies.full(); ++i) copies.Take(held.groups(i));
  return copies.Done();
}

const char* HolderName(v1::HolderKind kind) {
  switch (kind) {
    case v1::HOLDER_EQUIPMENT:
      return "equipment";
    case v1::HOLDER_GATEWAY:
      return "gateway";
    case v1::HOLDER_BACKEND:
      return "backend";
    default:
      return "";
  }
}

// The newest of each relay and direction.
json TlsJson(const v1::HeldResponse& held) {
  std::map<std::pair<std::string, std::string>, const v1::PassedTls*> newest;
  for (const v1::PassedTls& record : held.tls()) {
    if (record.direction() != "up" && record.direction() != "down") continue;
    const std::pair<std::string, std::string> flow = {record.listener().substr(0, kMaxText),
                                                      record.direction()};
    if (newest.size() < kMaxFlows || newest.contains(flow)) newest[flow] = &record;
  }
  json out = json::array();
  for (const auto& [where, record] : newest) {
    json one = BytesJson(record->record());
    one["listener"] = where.first;
    one["direction"] = where.second;
    one["number"] = record->number();
    one["seen_us"] = record->seen_us();
    one["attack"] = record->attack();
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

json HoldingJson(const Others::Answer& answer, const v1::RecordPlace& asked) {
  const RemoteOptions& of = *answer.of;
  const v1::HeldResponse& held = answer.held;
  return {{"name", of.name},
          {"control", of.control},
          {"holder", answer.status.ok() ? HolderName(held.holder()) : ""},
          {"error", answer.status.ok() ? "" : WhyNot(of, answer.status)},
          {"now_us", held.now_us()},
          {"copies", CopiesOf(held, of.control, asked.sequence())},
          {"tls", TlsJson(held)}};
}

}  // namespace keystead::console
